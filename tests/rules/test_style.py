"""House rules that a tool checks: linter, formatter, types, shell; and the size of modules and functions."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import source_tree

MODULE_LINES = 300
FUNCTION_LINES = 60
ENTRY_LINES = 60


def passes(*command: str) -> None:
    done = subprocess.run(command, cwd=source_tree.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)[:200]}\n{done.stdout[-8000:]}{done.stderr[-2000:]}"


def python_files() -> list[str]:
    return [str(path) for path in source_tree.tracked() if path.suffix == ".py"]


def test_linter() -> None:
    passes(sys.executable, "-m", "ruff", "check", "--no-cache", *python_files())


def test_the_first_line_of_a_docstring_is_imperative() -> None:
    product = [name for name in python_files() if name.startswith(("bakery", "tools"))]
    assert product
    passes(sys.executable, "-m", "ruff", "check", "--no-cache", "--isolated", "--select", "D401", *product)


def test_formatter() -> None:
    passes(sys.executable, "-m", "ruff", "format", "--check", "--no-cache", *python_files())


def test_types_are_strict() -> None:
    """Check the files of pyproject.toml, among them the back end that a test adds: it has to fit the protocol."""
    passes(sys.executable, "-m", "mypy")


def test_types_of_every_imported_service_are_checked() -> None:
    """A service that the configuration of mypy skips would have no types: any argument would do."""
    tables = tomllib.loads(source_tree.text(Path("pyproject.toml")))["tool"]["mypy"]["overrides"]
    read = {name for table in tables if table.get("follow_imports") == "normal" for name in table["module"]}
    imported = {f"pulumi_gcp.{name}" for path in source_tree.tracked() for name in services(path)}
    assert "pulumi_gcp.storage" in imported
    assert {name.removesuffix(".*") for name in read} == {"pulumi_gcp", *imported}


def services(path: Path) -> Iterator[str]:
    """What a file that mypy reads imports of pulumi_gcp; only the form of import that the rule understands is used."""
    if path.suffix != ".py" or not (path.parts[0] in ("bakery", "tools") or path == Path("__main__.py")):
        return
    for node in source_tree.nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module == "pulumi_gcp":
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
            assert not any(source_tree.within(name, "pulumi_gcp") for name in modules), f"{path}:{node.lineno}"


def test_shellcheck_knows_every_script() -> None:
    scripts = source_tree.shell_scripts()
    assert {Path("tools/setup.sh"), Path(".ci/run"), Path("packages/hpcc/install.sh")} <= set(scripts)
    passes("shellcheck", "--external-sources", *map(str, scripts))


def test_scripts_stop_at_the_first_error() -> None:
    scripts = source_tree.shell_scripts()
    assert len(scripts) > 5
    for path in scripts:
        content = source_tree.text(path)
        if content.startswith("#!/bin/sh") or content.startswith("# shellcheck shell="):
            continue  # POSIX sh has no pipefail; what is sourced must not change its reader's options
        assert "set -euo pipefail" in content or "set -Eeuo pipefail" in content, path


def test_scripts_with_an_interpreter_line_are_executable() -> None:
    wrong = [str(path) for path in source_tree.tracked() if path.parts[0] in ("tools", ".ci") and not runs(path)]
    assert wrong == []


def runs(path: Path) -> bool:
    """Executable exactly when it starts with an interpreter."""
    return source_tree.text(path).startswith("#!") is bool((source_tree.ROOT / path).stat().st_mode & 0o100)


@pytest.mark.parametrize("folder", ["bakery", "tools"])
def test_modules_hold_one_concept(folder: str) -> None:
    files = [path for path in source_tree.tracked() if path.parts[0] == folder and path.suffix == ".py"]
    assert files
    sizes = {path: len(source_tree.text(path).splitlines()) for path in files}
    assert {str(path): size for path, size in sizes.items() if size > MODULE_LINES} == {}


def test_functions_are_short() -> None:
    long = {}
    for path in source_tree.tracked():
        if path.suffix != ".py" or path.parts[0] not in ("bakery", "tools", "__main__.py"):
            continue
        for node in source_tree.nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > FUNCTION_LINES:
                    long[f"{path}:{node.lineno} {node.name}"] = size
    assert long == {}


def test_the_entry_point_only_wires() -> None:
    assert len(source_tree.text(Path("__main__.py")).splitlines()) <= ENTRY_LINES
    assert not [node for node in source_tree.nodes(Path("__main__.py")) if isinstance(node, ast.ClassDef)]
