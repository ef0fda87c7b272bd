"""The old dialect stays out: no old identifier, and no old phrase in anything that a user can read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.rules.words import NOWHERE, OLD_NAMES, OLD_PHRASES
from tests.support import source_tree
from tests.support.every import every
from tests.support.source_tree import within

SHELL_MESSAGE = re.compile(r"""(?:^|[{;&|(])\s*(?:say|fail|die|printf|echo)\b(.*?)(?:\s#\s.*)?$""", re.MULTILINE)
HELP = re.compile(r"(?m)^[a-z-]+:.*## (.*)$")
# Files that users read as they are. What `bakery init` writes is among them; recipes are left out: their texts count in
# the digests of images.
READ = (".html", ".json", ".md", ".svg", ".tmpl", ".tsv", ".txt", ".yaml", ".yml")


def defined(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every name that a module binds: definitions, parameters, variables, attributes of self, imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name, node.lineno
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest, node.lineno
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).rpartition(".")[2], node.lineno if hasattr(node, "lineno") else 1


def plain(name: str) -> str:
    """Return a name as a word: constants and private names are compared with others."""
    return name.strip("_").lower()


@pytest.mark.parametrize(("module", "old", "new"), OLD_NAMES, ids=[f"{m}.{o}" for m, o, _ in OLD_NAMES])
def test_an_old_name_is_gone(module: str, old: str, new: str) -> None:
    modules = {name: path for name, path in source_tree.modules().items() if within(name, f"bakery.{module}")}
    assert modules, f"bakery.{module} does not exist; correct the table in tests/rules/words.py"
    places = [
        f"{path}:{line} defines {name}; use {new}"
        for path in modules.values()
        for name, line in defined(source_tree.parsed(path))
        if plain(name) == plain(old)
    ]
    assert places == []


def test_a_word_of_the_dialect_names_nothing() -> None:
    """Neither a definition nor a module, in any part."""
    words = {plain(old) for _, old, _ in OLD_NAMES} & {plain(word) for word in NOWHERE}
    assert words == {plain(word) for word in NOWHERE}
    places = [
        f"{path}:{line} defines {name}"
        for path in source_tree.modules().values()
        for name, line in [*defined(source_tree.parsed(path)), (path.stem, 1), (path.parent.name, 1)]
        if plain(name) in words
    ]
    assert places == []


def test_a_name_of_a_class_means_one_thing() -> None:
    """One word for one thing: no two public classes of the product have the same name."""
    places: dict[str, list[str]] = {}
    for path in source_tree.modules().values():
        for node in source_tree.nodes(path):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(f"{path}:{node.lineno}")
    assert places
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def strings_of(path: Path) -> Iterator[tuple[str, int]]:
    """All texts of a module, whether messages, help or docstrings; f-strings as a whole."""
    tree = source_tree.parsed(path)
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner |= {id(part) for part in node.values}
            inner |= {id(part) for value in node.values if hasattr(value, "format_spec") for part in spec(value)}
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
            yield text, node.lineno
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.value, node.lineno


def spec(value: ast.AST) -> Iterator[ast.AST]:
    """Yield the format of a value in an f-string, ``.1f``, which is not a text."""
    if isinstance(value, ast.FormattedValue) and value.format_spec:
        yield from ast.walk(value.format_spec)


@cache
def user_texts() -> tuple[tuple[str, int, str], ...]:
    """File, line and text, in lower case, of everything that users read."""
    return tuple((str(path), line, " ".join(text.lower().split())) for path, line, text in found_texts())


def found_texts() -> Iterator[tuple[Path, int, str]]:
    """The same, as it is found: messages, help, docstrings, schemas, templates, set-up, documents."""
    for path in source_tree.tracked():
        top, text = path.parts[0], source_tree.text(path)
        if path.suffix == ".py" and top in ("bakery", "tools", "__main__.py"):
            yield from ((path, line, string) for string, line in strings_of(path))
        elif path.suffix in READ and top not in ("benchmarks", "common", "findings", "packages", "tests"):
            yield from paragraphs(path, text)
        elif top in (".ci", "bakery", "tools", "Makefile"):
            found = (*SHELL_MESSAGE.finditer(text), *(HELP.finditer(text) if top == "Makefile" else ()))
            yield from ((path, text[: m.start(1)].count("\n") + 1, m[1]) for m in found)


def paragraphs(path: Path, text: str) -> Iterator[tuple[Path, int, str]]:
    """Yield what stands between blank lines as one text, since a phrase may continue on the next line."""
    for found in re.finditer(r"(?:.+\n?)+", text):
        yield path, text[: found.start()].count("\n") + 1, found[0]


def test_the_texts_of_users_are_collected() -> None:
    texts = user_texts()
    files = {file for file, _, _ in texts}
    assert {"README.md", "Makefile", "docs/recipe.md", "bakery/errors.py", "tools/venv.sh", "tools/engine.py"} <= files
    assert {f"bakery/operations/repository/{name}.tmpl" for name in ("README.md", "dot_gitlab-ci.yml")} <= files
    assert any("did not end within" in text for _, _, text in texts)
    assert any("the next `make up` continues from here" in text for _, _, text in texts)
    assert any("what would be baked" in text or "show what" in text for _, _, text in texts), "help of a command"


@pytest.mark.parametrize("advice", OLD_PHRASES)
def test_an_old_phrase_is_gone(advice: str) -> None:
    pattern = OLD_PHRASES[advice]
    places = [
        f"{file}:{line}: {match[0]!r}; write {advice}: {text[max(0, match.start() - 50) :][:100]}"
        for file, line, text in user_texts()
        if (match := pattern.search(text))
    ]
    assert places == []


def test_the_rules_notice_what_they_look_for() -> None:
    tree = ast.parse("from a import shelf\ndef reaching(outside): Seed = 1; self.course = 2")
    assert {name for name, _ in defined(tree)} == {"shelf", "reaching", "outside", "Seed", "course"}
    tree = ast.parse("try: f()\nexcept E as shelf: g()\nmatch x:\n case [*course]: f()\n case {'a': 1, **lift}: f()")
    assert {name for name, _ in defined(tree)} == {"shelf", "course", "lift"}
    said = (
        "packer.json is no json",
        "_zone stands twice",
        "take it away",
        "whoever runs it",
        "it goes on",
        "made anew",
    )
    assert every(any(pattern.search(text) for pattern in OLD_PHRASES.values()) for text in said)
    fine = ("there is no image app", "goods", "it continues", "is no longer needed", "somewhere")
    assert [text for text in fine if any(pattern.search(text) for pattern in OLD_PHRASES.values())] == []
