"""Files are replaced in one place, :func:`bakery.host.files.write_atomic`; it is safe among threads and processes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.rules.test_imports import AGENT, name_called
from tests.support import source_tree
from tests.support.source_tree import within

WRITES = "bakery.host.files"
METHODS = {"write", "writelines", "write_text", "write_bytes"}
FUNCTIONS = {"copy", "copy2", "copyfile", "copyfileobj", "open", "print"}  # of os, shutil and builtins; paths are given


def texts(*given: ast.expr) -> set[str]:
    """Return expressions as text; the name of a temporary file counts as the file."""
    return {ast.unparse(one).removesuffix(".name") for one in given}


def arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def of_module(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) or ast.unparse(call.func).partition(".")[0] in ("os", "shutil")


def opens_to_write(call: ast.Call) -> bool:
    modes = [one.value for one in arguments(call) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return name_called(call) == "open" and any(re.fullmatch("[wxa][bt]?[+]?", mode) for mode in modes)


def written(call: ast.Call) -> set[str]:
    """Return what a call may write to: the file itself, or a path that it is given."""
    if of_module(call):
        return texts(*arguments(call)) if name_called(call) in FUNCTIONS else set()
    if isinstance(call.func, ast.Attribute) and (name_called(call) in METHODS or opens_to_write(call)):
        return texts(call.func.value)
    return set()


def renamed(call: ast.Call) -> set[str]:
    """Return what a call gives another name; ``str.replace`` has two arguments, ``Path.replace`` one."""
    name, given = name_called(call), arguments(call)
    if of_module(call):
        return texts(given[0]) if name in ("link", "move", "rename", "renames", "replace") and given else set()
    one = isinstance(call.func, ast.Attribute) and name in ("rename", "replace") and len(given) == 1
    return texts(call.func.value) if one and isinstance(call.func, ast.Attribute) else set()


def scopes(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the functions of a module, and its own lines as one more."""
    functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    yield from functions
    lines = [one for one in tree.body if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    yield ast.Module(lines, [])


def replaces_what_it_writes(node: ast.AST) -> bool:
    """Whether a function writes a file and gives it another name: an atomic write of its own."""
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
    return bool(set().union(*map(written, calls)) & set().union(*map(renamed, calls)))


def test_files_are_replaced_in_one_place() -> None:
    """The agent, which is alone in its machine, has a function of its own."""
    wrong = [
        f"{path}:{getattr(node, 'lineno', 1)}"
        for name, path in source_tree.modules().items()
        if not within(name, WRITES, AGENT)
        for node in scopes(source_tree.parsed(path))
        if replaces_what_it_writes(node)
    ]
    assert wrong == []
    (writer,) = [
        one
        for one in source_tree.nodes(source_tree.modules()[WRITES])
        if isinstance(one, ast.FunctionDef) and one.name == "write_atomic"
    ]
    assert replaces_what_it_writes(writer)


@pytest.mark.parametrize(
    "text",
    [
        "scratch.write_bytes(b)\n    os.replace(scratch, file)",
        "scratch.write_text(b)\n    scratch.rename(target=file)",
        "shutil.copy(a, scratch)\n    scratch.replace(file)",
        "with open(scratch, 'w') as out:\n        json.dump(x, out)\n    shutil.move(scratch, file)",
        "with scratch.open(mode='wb') as out:\n        pickle.dump(x, out)\n    scratch.replace(file)",
        "with NamedTemporaryFile() as out:\n        out.write(x)\n    os.replace(out.name, file)",
    ],
)
def test_an_atomic_write_of_ones_own_is_noticed(text: str) -> None:
    assert [replaces_what_it_writes(one) for one in scopes(ast.parse(f"def write(file):\n    {text}"))] == [True, False]
    assert any(map(replaces_what_it_writes, scopes(ast.parse(text.replace("\n    ", "\n")))))


def test_other_renames_are_not_atomic_writes() -> None:
    folder = "def make(): (half / 'disk').write_bytes(b); half.rename(folder)"
    text = "def make(): file.write_text(text.replace('a', 'b'))"
    assert [replaces_what_it_writes(ast.parse(one)) for one in (folder, text)] == [False, False]
