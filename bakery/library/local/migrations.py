"""The schema of the local library's database, as scripts that each bring it one version up.

A script that was released is never edited: a new version is a new script at the end. The table ``jobs`` holds a
row for each job with rcc-run's columns and the bakery's own; the view ``app_runs`` shows rcc-run's alone, under the
names and in the order of its BigQuery table, so that queries written for one run on the other.
"""

from __future__ import annotations

from bakery.results.app_runs import APP_RUNS

_SQL_TYPES = {"STRING": "TEXT", "INT64": "INTEGER", "FLOAT64": "REAL", "BOOL": "INTEGER", "DATETIME": "TEXT"}
_COLUMNS = ",\n  ".join(f"{field.name} {_SQL_TYPES[field.type]}" for field in APP_RUNS)
_NAMES = ", ".join(field.name for field in APP_RUNS)
_REQUIRED = " AND ".join(f"{field.name} IS NOT NULL" for field in APP_RUNS if field.required)

_FIRST = f"""
CREATE TABLE images (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  digest TEXT NOT NULL,
  package TEXT NOT NULL,
  variant TEXT NOT NULL,
  candidate_for TEXT NOT NULL,
  created TEXT NOT NULL,
  family TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'DEPRECATED', 'OBSOLETE', 'DELETED')),
  state_since TEXT NOT NULL,
  replacement TEXT NOT NULL,
  parent TEXT NOT NULL,
  proof TEXT NOT NULL CHECK (proof IN ('untested', 'passed', 'failed')),
  size INTEGER NOT NULL,
  bake_seconds REAL NOT NULL,
  labels TEXT NOT NULL,
  inputs TEXT NOT NULL,
  publication TEXT NOT NULL
);
CREATE INDEX images_by_digest ON images (digest);
CREATE INDEX images_by_family ON images (candidate_for);
CREATE INDEX images_by_promotion ON images (family);
CREATE TABLE families (
  family TEXT PRIMARY KEY,
  image TEXT NOT NULL UNIQUE REFERENCES images (name)
);
CREATE TABLE promotions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  family TEXT NOT NULL,
  image TEXT NOT NULL,
  previous TEXT NOT NULL,
  event TEXT NOT NULL CHECK (event IN ('promoted', 'given back', 'lost')),
  at TEXT NOT NULL
);
CREATE INDEX promotions_by_family ON promotions (family, image);
CREATE TABLE bakes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  image TEXT NOT NULL REFERENCES images (name),
  family TEXT NOT NULL,
  seconds REAL NOT NULL,
  at TEXT NOT NULL
);
CREATE TABLE proofs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  image TEXT NOT NULL REFERENCES images (name),
  tests_digest TEXT NOT NULL,
  proof TEXT NOT NULL,
  at TEXT NOT NULL
);
CREATE TABLE runs (
  run_id TEXT PRIMARY KEY,
  image TEXT NOT NULL,
  tests_digest TEXT NOT NULL,
  verdict TEXT NOT NULL,
  started TEXT NOT NULL,
  timings TEXT NOT NULL,
  failed_stage TEXT,
  reason TEXT NOT NULL,
  folder TEXT
);
CREATE INDEX runs_by_image ON runs (image, started);
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  passed INTEGER NOT NULL,
  reason TEXT NOT NULL,
  given TEXT NOT NULL,
  figures TEXT NOT NULL,
  {_COLUMNS},
  UNIQUE (run_id, position)
);
CREATE VIEW app_runs AS SELECT {_NAMES} FROM jobs WHERE {_REQUIRED};
"""

MIGRATIONS = (_FIRST,)
