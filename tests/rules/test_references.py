"""Files and modules that documents, comments and messages name exist, and the developer guide matches the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rules.parts import MAY_IMPORT
from tests.support import source_tree

TOP = ("bakery", "benchmarks", "common", "docs", "packages", "tests", "tools", ".github", ".ci")
# A path below one of our folders, ending in a name with a suffix; whatever holds a placeholder or a pattern is none.
PATH = re.compile(
    rf"(?<![\w./$}}~-])((?:{'|'.join(map(re.escape, TOP))})/[\w./-]*\w\.(?:md|py|json|sh|yaml|tsv|lock|mod))\b"
)
DOCUMENT = re.compile(r"(?<![\w/])(docs/[\w-]+\.md)\b")
# Tests and `bakery init` make recipes of their own, which have paths like ours; a wheel has its own.
INVENTED = ("tests/", "benchmarks/", "bakery/operations/repository/", "pyproject.toml")


def references() -> Iterator[tuple[Path, str]]:
    """Every path of ours that a tracked file names: all documents, and files where no example is meant."""
    for path in source_tree.tracked():
        text = source_tree.text(path)
        found = set(DOCUMENT.findall(text))
        if not str(path).startswith(INVENTED) and path.suffix != ".lock":
            found |= set(PATH.findall(text))
        yield from ((path, name) for name in sorted(found))


def test_files_that_are_named_are_there() -> None:
    there = {path.as_posix() for path in source_tree.tracked()}
    named = list(references())
    assert len(named) > 40
    assert [f"{path} names {name}" for path, name in named if name not in there] == []


def test_a_module_that_a_docstring_names_is_there() -> None:
    there = set(source_tree.modules()) | {name.rpartition(".")[0] for name in source_tree.modules()}
    wrong = []
    for path in source_tree.modules().values():
        for name in re.findall(r":mod:`(bakery[\w.]*)`", source_tree.text(path)):
            if name not in there:
                wrong.append(f"{path} names {name}")
    assert wrong == []


def test_no_document_is_left_alone() -> None:
    """Every document is reached from the README."""
    reached, open_ = set(), {Path("README.md")}
    while open_:
        path = open_.pop()
        reached.add(path)
        for target in re.findall(r"\]\(([^)#\s]+\.md)", source_tree.text(path)):
            found = Path((source_tree.ROOT / path.parent / target).resolve()).relative_to(source_tree.ROOT)
            open_ |= {found} - reached
    assert {path for path in source_tree.tracked() if path.parts[0] == "docs" and path.suffix == ".md"} <= reached


def developing(title: str) -> str:
    """Return a section of the developer guide; ``title`` begins with its ``#`` marks."""
    text = source_tree.text(Path("docs/developing.md"))
    level = title.partition(" ")[0]
    section = re.search(rf"(?ms)^{re.escape(title)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", text)
    assert section is not None, title
    return section[1]


def first_column(section: str) -> list[str]:
    return re.findall(r"(?m)^\| `([^`]+)` \|", section)


def test_the_layout_of_the_guide_is_the_table_of_parts() -> None:
    """Same parts, in the same order; the second table of the section lists other folders."""
    parts = first_column(developing("## Layout").partition("Other folders:")[0])
    assert parts == list(MAY_IMPORT)


@pytest.mark.parametrize(
    ("task", "most"),
    [("A back end", 3), ("A check of recipes", 2), ("A field of results", 2), ("A command", 2)],
)
def test_the_files_of_a_newcomers_task_exist_and_are_few(task: str, most: int) -> None:
    files = first_column(developing(f"### {task}"))
    assert 0 < len(files) <= most
    assert [name for name in files if not (source_tree.ROOT / name).exists()] == []
