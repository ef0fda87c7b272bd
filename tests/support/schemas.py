"""The published JSON schemas."""

from __future__ import annotations

import json
from typing import Any

from tests.support.root import ROOT


def published(name: str) -> Any:
    """Return the schema of ``name``: "plan", "library", "results" ..."""
    return json.loads((ROOT / f"bakery/report/schemas/{name}.schema.json").read_text(encoding="utf-8"))
