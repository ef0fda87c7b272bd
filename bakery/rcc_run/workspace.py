"""The workspace of a step: the files that are sent to the cluster, and the tests among them."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from bakery.recipe.check import fluidrun
from bakery.recipe.model import SourceFile, SuiteJob
from bakery.recipe.parse import json as json_parser
from bakery.recipe.parse import yaml as yaml_parser
from bakery.recipe.parse.document import Document
from bakery.recipe.parse.findings import Findings

CLOUD_BUILD = Path("/workspace")  # of every step; a step's `dir` is below it
READERS = {".json": json_parser.parse_json, ".yaml": yaml_parser.parse_yaml, ".yml": yaml_parser.parse_yaml}


def root(here: Path) -> Path:
    """Return the top of the workspace: that of Cloud Build, else this folder."""
    return CLOUD_BUILD if here.is_relative_to(CLOUD_BUILD) else here


def resolve(name: str, here: Path, top: Path) -> Path | None:
    """Return the file that an option names, relative to this folder or to the top of the workspace, or None."""
    return next((path for path in (here / name, top / name) if path.is_file()), None)


def tests(file: Path, top: Path, findings: Findings) -> tuple[SuiteJob, ...]:
    """Return the jobs of a CI file; problems are added to ``findings``."""
    reader = READERS.get(file.suffix)
    if reader is None:
        findings.error(1, f"unknown file type; known: {', '.join(READERS)}", "rename it to match its content")
        return ()
    document: Document | None = reader(file.read_bytes(), findings)
    if document is None:
        return ()
    if not isinstance(document.value, dict):
        document.error("not a mapping", "write tests: and a list of jobs")
        return ()
    return fluidrun.jobs(document, lambda path: (top / path).exists())


def files(top: Path) -> tuple[SourceFile, ...]:
    """Return all files of the workspace by path, except names with a leading dot at its top, as rcc-run does."""
    return tuple(_source_file(path, top) for path in sorted(_walk(top)))


def _walk(top: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(top):
        first = Path(folder) == top
        if first:
            folders[:] = [name for name in folders if not name.startswith(".")]
        wanted = [Path(folder, name) for name in names if not (first and name.startswith("."))]
        yield from (path for path in wanted if path.is_file())


def _source_file(path: Path, top: Path) -> SourceFile:
    with path.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    return SourceFile(path.relative_to(top).as_posix(), 0o755 if os.access(path, os.X_OK) else 0o644, digest, path)
