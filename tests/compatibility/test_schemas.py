"""The published JSON schemas are those of version 0.1.0: a deliberate change edits the recorded table."""

from __future__ import annotations

import hashlib
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


def test_only_what_a_schema_says_counts(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{ "type": "object",\n "title": "A" }', encoding="utf-8")
    assert record.canonical_hash(file) == hashlib.sha256(b'{"title":"A","type":"object"}').hexdigest()
    file.write_text('{"title": "B", "type": "object"}', encoding="utf-8")
    assert record.canonical_hash(file) != hashlib.sha256(b'{"title":"A","type":"object"}').hexdigest()
