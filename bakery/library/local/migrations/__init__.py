"""The schema of the local library's database: SQL scripts that each raise its version by one, then the result fields.

A released script is never edited: a change of the schema is a new script. Only fields of :data:`APP_RUNS` need none:
columns that the table ``jobs`` lacks are added when a database is opened. That table has a row for each job with
rcc-run's columns and the bakery's own. The view ``app_runs`` has rcc-run's columns alone, with the names and in the
order of its BigQuery table, so that queries written for one work on the other.
"""

import sqlite3
from pathlib import Path

from bakery.results import app_runs

MIGRATIONS = tuple(file.read_text(encoding="utf-8") for file in sorted(Path(__file__).parent.glob("*.sql")))
_SQL_TYPES = {"STRING": "TEXT", "INT64": "INTEGER", "FLOAT64": "REAL", "BOOL": "INTEGER", "DATETIME": "TEXT"}


def version(connection: sqlite3.Connection) -> int:
    """Return the number of scripts that were applied to the database."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def apply(connection: sqlite3.Connection, number: int, script: str) -> None:
    """Apply one script and set the version to its number, both or neither."""
    connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")


def missing_fields(connection: sqlite3.Connection) -> list[app_runs.Field]:
    """Return the result fields that the table ``jobs`` has no column for."""
    columns = _columns(connection, "jobs")
    return [field for field in app_runs.APP_RUNS if columns and field.name not in columns]


def add_fields(connection: sqlite3.Connection, fields: list[app_runs.Field]) -> None:
    """Add columns to the table ``jobs`` and to the view ``app_runs``, which keeps those of a newer bakery."""
    added = "\n".join(f"ALTER TABLE jobs ADD COLUMN {field.name} {_SQL_TYPES[field.type]};" for field in fields)
    names = dict.fromkeys([field.name for field in app_runs.APP_RUNS] + _columns(connection, "app_runs"))
    required = " AND ".join(f"{field.name} IS NOT NULL" for field in app_runs.APP_RUNS if field.required)
    view = f"CREATE VIEW app_runs AS SELECT {', '.join(names)} FROM jobs WHERE {required};"
    connection.executescript(f"BEGIN IMMEDIATE;\n{added}\nDROP VIEW app_runs;\n{view}\nCOMMIT;")


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row["name"] for row in connection.execute(f"PRAGMA table_info({table})")]
