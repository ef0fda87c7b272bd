CREATE TABLE wants (
  family TEXT NOT NULL,
  stack TEXT NOT NULL,
  image TEXT NOT NULL,
  token TEXT NOT NULL,
  PRIMARY KEY (family, stack)
);
