"""The workspace of a bake or a test: a copy of the recipe's files, each checked against the plan."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from bakery.errors import InfrastructureFailed, InputError, Problem
from bakery.recipe.model import SourceFile

HINT = "run up again: the new plan uses the current content"


def checked(files: Iterable[SourceFile]) -> Iterator[tuple[SourceFile, bytes]]:
    """Yield the files with their contents, each checked, so that an edit during an ``up`` is noticed.

    Raises InputError with every file that has changed since the plan was made; no file is yielded after the first one.
    """
    problems: list[Problem] = []
    for file in files:
        try:
            content = Path(file.source).read_bytes()
        except OSError:
            problems.append(Problem(file.path, 1, f"can no longer be read ({file.source})", HINT))
            continue
        if hashlib.sha256(content).hexdigest() != file.sha256:
            problems.append(Problem(file.path, 1, "was changed during the up", HINT))
        elif not problems:
            yield file, content
    if problems:
        raise InputError(problems)


def check_sources(files: Iterable[SourceFile]) -> None:
    """Raise InputError as :func:`checked` does."""
    for _ in checked(files):
        pass


def stage(files: Iterable[SourceFile], workspace: Path) -> None:
    """Copy the files into ``workspace`` with their modes.

    Raises InputError as :func:`checked` does, and InfrastructureFailed when a copy can't be written.
    """
    for file, content in checked(files):
        _write(workspace / file.path, content, file.mode)


def _write(target: Path, content: bytes, mode: int) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode)
    except OSError as error:
        raise InfrastructureFailed(
            f"cannot write {target}: {error.strerror}", hint="check the free disk space"
        ) from error
