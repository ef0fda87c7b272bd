"""Runs as JSON: the file ``results.json``, whose published schema is ``results.schema.json``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bakery.codec import encode
from bakery.host.files import write_atomic
from bakery.results.app_runs import completed
from bakery.results.model import RunResult

RESULTS_VERSION = 1
RESULTS_FILE = "results.json"


def to_json(result: RunResult) -> dict[str, Any]:
    """Return the run as its published schema describes it."""
    return {"version": RESULTS_VERSION, **encode(result)}


def store_run(result: RunResult, record: Callable[[RunResult], None]) -> RunResult:
    """Store a run, whatever its verdict: as ``results.json`` in its folder if that exists, then with ``record``.

    Returns the completed result, which is what was stored. Raises InfrastructureFailed if the file can't be written.
    """
    whole = completed(result)
    if whole.folder is not None and Path(whole.folder).is_dir():
        text = f"{json.dumps(to_json(whole), indent=2)}\n"
        write_atomic(Path(whole.folder) / RESULTS_FILE, text.encode(), sync=True)
    record(whole)
    return whole
