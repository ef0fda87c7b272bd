CREATE TABLE revocations (
  image TEXT NOT NULL,
  cause TEXT NOT NULL,
  reason TEXT NOT NULL,
  at TEXT NOT NULL,
  recorded TEXT NOT NULL,
  PRIMARY KEY (image, cause)
);
