"""Settings as values for a fixture: what a version made of a stack's file. Runs with the code of any version.

``python settings.py <folder of a checkout> <folder of the fixture>`` writes ``read.json`` with that checkout's code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

READ = "read.json"


def stacks(folder: Path) -> list[str]:
    """The stacks whose files are in a fixture's folder."""
    return sorted(file.name.split(".")[1] for file in folder.glob("Pulumi.*.yaml"))


def plain(value: Any, root: Path) -> Any:
    """Settings as JSON; paths begin at ``root``, the folder of the stack's file."""
    if isinstance(value, str | Path):
        text = str(value.value if isinstance(value, Enum) else value)
        return text.replace(str(root.resolve()), "<root>").replace(str(root.resolve().parent), "<above>")
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name), root) for field in fields(value)}
    if hasattr(value, "_asdict"):
        return plain(value._asdict(), root)
    if isinstance(value, Mapping):
        return {str(key): plain(one, root) for key, one in value.items()}
    return [plain(one, root) for one in value] if isinstance(value, tuple | list) else value


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    from bakery.settings import from_file

    place = Path(sys.argv[2])
    found = {stack: plain(from_file(place, stack), place) for stack in stacks(place)}
    (place / READ).write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
