"""Runs as JSON (``results.json``), as the published schema ``results.schema.json`` describes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from bakery.codec import encode
from bakery.host.files import write_atomic
from bakery.results.model import RunResult

RESULTS_VERSION = 1


RESULTS_FILE = "results.json"


def completed(result: RunResult) -> RunResult:
    """The result whose rows have what the run itself knows: build id, time and image where a job left them out."""
    known = {"build_id": result.run_id, "datetime": result.started[:19], "vm_image": result.image}
    return replace(result, jobs=tuple(replace(job, row=_filled(job.row, known)) for job in result.jobs))


def _filled(row: Mapping[str, object], known: Mapping[str, object]) -> dict[str, object]:
    given = {name: value for name, value in row.items() if value is not None}
    return {**row, **{name: value for name, value in known.items() if name not in given}}


def to_json(result: RunResult) -> dict[str, Any]:
    """The run as the published schema ``results.schema.json`` has it."""
    return {"version": RESULTS_VERSION, **encode(result)}


def schema() -> dict[str, Any]:
    """The JSON schema of ``results.json``."""
    text = files("bakery.report").joinpath("schemas/results.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def store_run(result: RunResult, record: Callable[[RunResult], None]) -> RunResult:
    """Store a run, whatever its verdict: as ``results.json`` in its folder if that exists, then with ``record``.

    Returns the completed result, which is what was stored.
    """
    whole = completed(result)
    if whole.folder is not None and Path(whole.folder).is_dir():
        write_json(Path(whole.folder) / RESULTS_FILE, to_json(whole))
    record(whole)
    return whole


def write_json(file: Path, value: object) -> None:
    """Replace a JSON file in one step and sync it to disk. Raises InfrastructureFailed."""
    write_atomic(file, f"{json.dumps(value, indent=2)}\n".encode(), sync=True)
