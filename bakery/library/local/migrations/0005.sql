CREATE TABLE history (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  family TEXT NOT NULL,
  event TEXT NOT NULL,
  image TEXT NOT NULL,
  previous TEXT NOT NULL DEFAULT '',
  why TEXT NOT NULL DEFAULT '',
  at TEXT NOT NULL,
  who TEXT NOT NULL DEFAULT '',
  stack TEXT NOT NULL DEFAULT '',
  revision TEXT NOT NULL DEFAULT ''
);
INSERT INTO history (family, event, image, previous, at) SELECT family, event, image, previous, at FROM promotions ORDER BY id;
DROP TABLE promotions;
CREATE INDEX history_by_family ON history (family);
