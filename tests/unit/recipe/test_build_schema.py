from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import googleapiclient

from bakery.recipe.check.build_schema import MESSAGES, camel_case
from bakery.recipe.parse import Findings, yaml

DOCUMENT = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / "cloudbuild.v1.json"


def kind(value: dict[str, Any], output_only: bool) -> str:
    """A field's kind as the table writes it; of what only Cloud Build sets, the table has no messages."""
    if "$ref" in value:
        return "" if output_only else str(value["$ref"])
    if value["type"] == "array":
        inner = value["items"].get("$ref", "")
        return f"[{inner}]"
    return "{}" if value["type"] == "object" else ""


def test_the_table_is_the_discovery_document_s() -> None:
    schemas = json.loads(DOCUMENT.read_text(encoding="utf-8"))["schemas"]
    for name, fields in MESSAGES.items():
        published = schemas[name]["properties"]
        assert sorted(fields) == sorted(published), name
        for field, value in published.items():
            wanted = kind(value, value.get("readOnly", False) or field in ("results", "sourceProvenance", "timing"))
            if (name, field) == ("Warning", "priority") or wanted == "" == fields[field]:
                continue
            assert fields[field] == wanted, f"{name}.{field}"


def test_every_message_that_is_named_is_in_the_table() -> None:
    named = {kind.strip("[]{}") for fields in MESSAGES.values() for kind in fields.values()} - {""}
    assert named <= MESSAGES.keys()


def test_renamed_fields_keep_their_lines_and_other_keys_their_names() -> None:
    text = b"steps:\n- wait_for: ['-']\n  name: x\navailable_secrets:\n  inline:\n  - env_map: {A_B: x}\n"
    document = yaml.parse_yaml(text, Findings("cloudbuild.yaml"))
    assert document is not None
    found = camel_case(document)
    assert found.value == {
        "steps": [{"waitFor": ["-"], "name": "x"}],
        "availableSecrets": {"inline": [{"envMap": {"A_B": "x"}}]},
    }
    assert [found.line("steps", 0, "waitFor"), found.line("availableSecrets", "inline", 0, "envMap")] == [2, 6]
    assert camel_case(found).value == found.value
