"""The published JSON schemas are those of version 0.1.0: a deliberate change edits the recorded table."""

from __future__ import annotations

import json
from pathlib import Path

from tests.compatibility import planning, record


def test_every_published_schema_is_as_recorded() -> None:
    recorded = json.loads((planning.HERE / record.PUBLISHED).read_text(encoding="utf-8"))
    today = record.published(Path())
    wrong = [f"{name} is new" for name in sorted(set(today) - set(recorded))]
    wrong += [f"{name} is missing" for name in sorted(set(recorded) - set(today))]
    wrong += [f"{name} changed" for name in sorted(set(recorded) & set(today)) if recorded[name] != today[name]]
    assert not wrong, "\n".join([*wrong, f"if that is on purpose, run: {record.COMMAND} published"])


def test_everything_but_prose_counts(tmp_path: Path) -> None:
    plain = written(tmp_path, '{"type": "object", "properties": {"title": {"type": "string"}}}')
    worded = written(
        tmp_path,
        '{ "title": "A",\n "properties": {"title": {"type": "string", "description": "words"}}, "type": "object"}',
    )
    renamed = written(tmp_path, '{"type": "object", "properties": {"name": {"type": "string"}}}')
    retyped = written(tmp_path, '{"type": "object", "properties": {"title": {"type": "integer"}}}')
    assert plain == worded
    assert len({plain, renamed, retyped}) == 3


def written(folder: Path, text: str) -> str:
    file = folder / "schema.json"
    file.write_text(text, encoding="utf-8")
    return record.schema_hash(file)
