"""Data flows one way: which part may import which, and where the outside world is touched."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.support import source_tree
from tests.support.source_tree import within

ENGINE_PARTS = ("__main__", "bakery.settings", "bakery.infrastructure", "bakery.resources")
# Carried into test machines, one file each, where nothing else of the bakery is.
IN_MACHINES = ("bakery.fluid_run.agent", "bakery.fluid_run.bootstrap")
SPREAD = "bakery.recipe.fork_map"  # forks, and runs no program
SUBPROCESS_PARTS = ("bakery.host.process", "bakery.host.guard", SPREAD, *IN_MACHINES)
GOOGLE = "bakery.host.google"

IO_MODULES = {
    *("os", "io", "shutil", "socket", "sqlite3", "subprocess", "tempfile", "urllib", "http", "requests", "asyncio"),
    *("threading", "time", "random", "glob", "fcntl", "signal", "logging", "google", "grpc", "pulumi", "pulumi_gcp"),
}
IO_CALLS = {
    *("open", "print", "input", "read_text", "read_bytes", "write_text", "write_bytes", "exists", "is_file", "is_dir"),
    *(
        "iterdir",
        "rglob",
        "stat",
        "lstat",
        "mkdir",
        "unlink",
        "touch",
        "rename",
        "cwd",
        "home",
        "expanduser",
    ),
    *("getenv", "now", "today", "utcnow"),
}

# Protocols and values: the language that the parts speak, importable from everywhere.
WORDS = {
    f"bakery.{part}"
    for part in ("errors", "activity", "paths", "codec", "config_reader", "google_terms", "status_line")
} | {f"bakery.{part}" for part in ("ovens.base", "library.base", "fluid_run.base", "recipe.model", "plan.model")}
BASE = ("bakery.settings", "bakery.host")
PURE = ("bakery.plan", "bakery.recipe.render")
# Each part, and what else it may import besides itself and the words. A part that is not here may import anything.
MAY_IMPORT = {
    "bakery.errors": (),
    "bakery.progress.activity": (),
    "bakery.paths": (),
    "bakery.codec": (),
    "bakery.settings": (),
    "bakery.host": BASE,
    "bakery.recipe": (*BASE, *PURE),
    "bakery.plan": ("bakery.settings", *PURE),
    "bakery.library": (*BASE, *PURE, "bakery.results.app_runs"),
    "bakery.ovens": (*BASE, *PURE, "bakery.library", "bakery.recipe"),
    "bakery.fluid_run": (*BASE, *PURE, "bakery.library", "bakery.recipe"),
    "bakery.infrastructure": ("bakery.settings", *PURE, "bakery.results.app_runs"),
    "bakery.resources.outputs": ("bakery.settings", *PURE),
    "bakery.report": (
        *BASE,
        *PURE,
        "bakery.library",
        "bakery.fluid_run",
        "bakery.operations.doctor",
        "bakery.operations.bake",
    ),
    "bakery.resources": (
        *(*BASE, *PURE, "bakery.library", "bakery.ovens", "bakery.fluid_run", "bakery.recipe"),
        *("bakery.infrastructure", "bakery.resources.outputs", "bakery.preview.snapshot"),
    ),
}


def modules_in(package: str) -> dict[str, Path]:
    return {name: path for name, path in source_tree.modules().items() if within(name, package)}


def test_the_modules_are_found() -> None:
    assert {"bakery.settings", "bakery.plan.model", "bakery.host.process"} <= set(source_tree.modules())


def test_the_engine_is_imported_only_at_its_edge() -> None:
    wrong = [
        f"{path}:{found.line} imports {found.module}"
        for name, path in source_tree.modules().items()
        for found in source_tree.imports(path)
        if within(found.module, "pulumi", "pulumi_gcp") and not within(name, *ENGINE_PARTS)
    ]
    assert wrong == []


def test_settings_need_the_engine_only_for_types() -> None:
    path = source_tree.modules()["bakery.settings"]
    assert all(found.types_only for found in source_tree.imports(path) if within(found.module, "pulumi"))


def test_subprocesses_are_started_in_one_place() -> None:
    wrong = []
    for name, path in source_tree.modules().items():
        if name in SUBPROCESS_PARTS:
            continue
        wrong += [
            f"{path}:{found.line} imports {found.module}"
            for found in source_tree.imports(path)
            if within(found.module, "subprocess", "multiprocessing", "pty")
        ]
        wrong += [
            f"{path}:{node.lineno} os.{node.attr}"
            for node in ast.walk(source_tree.parsed(path))
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
            and (
                node.attr in {"system", "popen", "fork", "forkpty"}
                or node.attr.startswith(("exec", "spawn", "posix_spawn"))
            )
        ]
    assert wrong == []


def test_google_clients_are_made_in_one_place() -> None:
    wrong = []
    for name, path in source_tree.modules().items():
        if name == GOOGLE:
            continue
        wrong += [
            f"{path}:{found.line} imports {found.module}"
            for found in source_tree.imports(path)
            if within(found.module, "google.auth", "google.oauth2", "googleapiclient", "requests", "httplib2")
        ]
        for node in ast.walk(source_tree.parsed(path)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func).rpartition(".")[2]
                if called.endswith("Client"):
                    wrong.append(f"{path}:{node.lineno} makes a {called}")
    assert wrong == []


def test_googles_libraries_are_not_loaded_by_the_local_bakery() -> None:
    """The command line and the dev stack must not pay for them: a second or more."""
    for name in (
        "bakery.ovens",
        "bakery.library",
        "bakery.plan.plan",
        "bakery.recipe.load",
        "bakery.fluid_run.clusters",
    ):
        assert name in source_tree.modules(), name
        seen: set[str] = set()
        queue = [name]
        while queue:
            module = queue.pop()
            seen.add(module)
            for found in top_level_imports(source_tree.modules()[module]):
                assert not within(found, "google", "grpc"), f"{name} loads {found} through {module}"
                if found in source_tree.modules() and found not in seen:
                    queue.append(found)


def top_level_imports(path: Path) -> set[str]:
    """What importing the module really imports: nothing inside functions or for types only."""
    top = [node.lineno for node in source_tree.parsed(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
    return {found.module for found in source_tree.imports(path) if found.line in top and not found.types_only}


def test_what_runs_in_machines_needs_only_the_standard_library() -> None:
    for name in (*IN_MACHINES, "bakery.host.guard"):
        used = {found.module.partition(".")[0] for found in source_tree.imports(source_tree.modules()[name])}
        assert used <= sys.stdlib_module_names, name


def test_the_plan_touches_nothing() -> None:
    wrong = []
    for path in (path for package in PURE for path in modules_in(package).values()):
        wrong += [
            f"{path}:{found.line} imports {found.module}"
            for found in source_tree.imports(path)
            if found.module.partition(".")[0] in IO_MODULES
        ]
        for node in ast.walk(source_tree.parsed(path)):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in IO_CALLS:
                    wrong.append(f"{path}:{node.lineno} calls {called}")
    assert wrong == []


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_data_flows_one_way(part: str) -> None:
    wrong = [
        f"{path}:{found.line} imports {found.module}"
        for path in modules_in(part).values()
        for found in source_tree.imports(path)
        if within(found.module, "bakery")
        and found.module not in WORDS
        and not within(found.module, part, *MAY_IMPORT[part])
    ]
    assert wrong == []


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {name: top_level_imports(path) & set(source_tree.modules()) for name, path in source_tree.modules().items()}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*way, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_libraries_neither_print_nor_exit() -> None:
    speakers = ("bakery.cli", "bakery.cli.console", "bakery.host.guard", "bakery.operations.recover", *IN_MACHINES)
    wrong = []
    for name, path in source_tree.modules().items():
        if within(name, *speakers) or any(part in name for part in (".cli", "_cli")):
            continue
        for node in ast.walk(source_tree.parsed(path)):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) in ("print", "sys.exit", "exit", "quit")
                and not any(keyword.arg == "file" for keyword in node.keywords)
            ):
                wrong.append(f"{path}:{node.lineno} {ast.unparse(node.func)}")
    assert wrong == []
