"""The local library: image files and records in SQLite."""
