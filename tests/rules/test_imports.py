"""Data flows one way: which part may import which, and where the outside world is touched."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.rules.parts import MAY_IMPORT, WORDS, part_of
from tests.support import source_tree
from tests.support.every import every
from tests.support.source_tree import within

ENGINE_PARTS = ("bakery.program", "bakery.settings", "bakery.infrastructure", "bakery.resources")
ENGINE_SIDE = ("bakery.program", "bakery.resources.fluid_run_test")  # the program, and the plugin
# Sent to test machines, where nothing else of the bakery is.
AGENT = "bakery.fluid_run.agent"
IN_MACHINES = (AGENT, "bakery.fluid_run.bootstrap")
FORKS = "bakery.recipe.fork_map"  # forks, and runs no program
SPEAKERS = ("bakery.cli", "bakery.rcc_run.cli", "bakery.host.guard", *IN_MACHINES)  # print and exit
SUBPROCESS_PARTS = ("bakery.host.process", "bakery.host.guard", FORKS, *IN_MACHINES)
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
    *("getenv", "now", "today", "utcnow", "utc_now"),
}

PURE = ("bakery.plan", "bakery.recipe.templating", "bakery.preview.decide")


def name_called(call: ast.Call) -> str:
    """Return the last name of what is called: ``b`` for ``a.b()``; "" if it is computed."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def modules_in(package: str) -> dict[str, Path]:
    return {name: path for name, path in source_tree.modules().items() if within(name, package)}


def test_the_modules_that_rules_name_exist() -> None:
    named = {*ENGINE_PARTS, *SUBPROCESS_PARTS, *SPEAKERS, *PURE, GOOGLE}
    assert [name for name in sorted(named) if not modules_in(name)] == []


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
    path = source_tree.modules()["bakery.settings.stacks"]
    assert every(found.types_only for found in source_tree.imports(path) if within(found.module, "pulumi"))


def test_subprocesses_are_started_in_one_place() -> None:
    wrong = []
    for name, path in source_tree.modules().items():
        if within(name, *SUBPROCESS_PARTS):
            continue
        wrong += [
            f"{path}:{found.line} imports {found.module}"
            for found in source_tree.imports(path)
            if within(found.module, "subprocess", "multiprocessing", "pty")
        ]
        wrong += [
            f"{path}:{node.lineno} os.{node.attr}"
            for node in source_tree.nodes(path)
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
        for node in source_tree.nodes(path):
            if isinstance(node, ast.Call):
                called = name_called(node)
                if called.endswith("Client"):
                    wrong.append(f"{path}:{node.lineno} makes a {called}")
    assert wrong == []


def test_googles_libraries_are_not_loaded_by_the_local_bakery() -> None:
    """The command line and the dev stack must not pay for them: a second or more."""
    for name in (
        "bakery.backends",
        "bakery.backends.local.backend",
        "bakery.backends.google.backend",
        "bakery.ovens.local.oven",
        "bakery.library.local.library",
        "bakery.plan.plan",
        "bakery.recipe.load",
        "bakery.fluid_run.clusters.local",
        "bakery.fluid_run.runner",
        *ENGINE_SIDE,
    ):
        assert name in source_tree.modules(), name
        seen: set[str] = set()
        queue = [name]
        while queue:
            module = queue.pop()
            seen.add(module)
            for found in top_level_imports(source_tree.modules()[module]):
                engine = within(found, "grpc") and name in ENGINE_SIDE  # which Pulumi's SDK has loaded
                assert engine or not within(found, "google", "grpc"), f"{name} loads {found} through {module}"
                if found in source_tree.modules() and found not in seen:
                    queue.append(found)


def top_level_imports(path: Path) -> set[str]:
    """What importing the module really imports: nothing inside functions or for types only."""
    top = [node.lineno for node in source_tree.parsed(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
    return {found.module for found in source_tree.imports(path) if found.line in top and not found.types_only}


def test_what_runs_in_machines_needs_only_the_standard_library() -> None:
    for part in (*IN_MACHINES, "bakery.host.guard"):
        modules = modules_in(part)
        assert modules, part
        for name, path in modules.items():
            others = {found.module for found in source_tree.imports(path) if not within(found.module, part)}
            assert {module.partition(".")[0] for module in others} <= sys.stdlib_module_names, name


def test_the_host_needs_only_the_wire_format_of_the_agent() -> None:
    wrong = [
        f"{path}:{found.line} imports {found.module}"
        for name, path in source_tree.modules().items()
        for found in source_tree.imports(path)
        if within(found.module, AGENT) and not within(name, AGENT) and found.module not in (AGENT, f"{AGENT}.wire")
    ]
    assert wrong == []


def test_the_plan_touches_nothing() -> None:
    wrong = []
    for path in (path for package in PURE for path in modules_in(package).values()):
        wrong += [
            f"{path}:{found.line} imports {found.module}"
            for found in source_tree.imports(path)
            if found.module.partition(".")[0] in IO_MODULES
        ]
        for node in source_tree.nodes(path):
            if isinstance(node, ast.Call):
                called = name_called(node)
                if called in IO_CALLS:
                    wrong.append(f"{path}:{node.lineno} calls {called}")
    assert wrong == []


def part_imports(part: str) -> dict[str, str]:
    """Return the imports of a part from others: file, line and module, with the part of that module."""
    return {
        f"{path}:{found.line} imports {found.module}": part_of(found.module)
        for name, path in source_tree.modules().items()
        if part_of(name) == part
        for found in source_tree.imports(path)
        if within(found.module, "bakery") and found.module != "bakery" and part_of(found.module) != part
    }


def forbidden(part: str) -> list[str]:
    return [line for line, other in part_imports(part).items() if other not in MAY_IMPORT[part]]


def escapes(node: ast.AST) -> bool:
    """Whether a node gets at a module in a way that these rules do not see: by a computed name, or below ``bakery``."""
    if isinstance(node, ast.Import):
        return any(within(one.name, "bakery", "importlib", *LOADERS) and one.name not in READS for one in node.names)
    if isinstance(node, ast.ImportFrom):
        names = {f"{node.module}.{one.name}" for one in node.names}
        return within(node.module or "", "importlib", *LOADERS) and not {node.module, *names} & READS
    if isinstance(node, ast.Subscript):
        return ast.unparse(node.value) == "sys.modules"
    return isinstance(node, ast.Call) and name_called(node) in ("import_module", "__import__", "exec", "eval")


LOADERS = ("imp", "pkgutil", "runpy", "zipimport")
READS = {"importlib.metadata", "importlib.resources"}  # load no module of ours


def test_modules_are_imported_by_statements() -> None:
    """What is imported otherwise escapes these rules; only the commands are found by their files."""
    wrong = [
        f"{path}:{getattr(node, 'lineno', 1)} {ast.unparse(node)}"
        for name, path in source_tree.modules().items()
        for node in source_tree.nodes(path)
        if escapes(node) and name != "bakery.cli.app"
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "import bakery\nbakery.library",
        "import bakery.plan.model as model",
        "from importlib import import_module as load",
        "import pkgutil",
        "sys.modules['bakery.library']",
        "__import__('bakery.library')",
    ],
)
def test_an_import_that_escapes_is_noticed(text: str) -> None:
    assert any(map(escapes, ast.walk(ast.parse(text))))
    assert not any(map(escapes, ast.walk(ast.parse("from importlib.metadata import version\nfrom bakery import x"))))


def parts_of_the_tree() -> set[str]:
    """Return the name of every module and folder directly below ``bakery/``, also of a folder without modules."""
    data = {path.parts[1] for path in source_tree.tracked() if path.parts[0] == "bakery" and path.suffix != ".py"}
    return {part_of(name) for name in source_tree.modules()} - {"bakery"} | data - {"py.typed"}


def test_every_part_is_named_and_nothing_else() -> None:
    assert parts_of_the_tree() == set(MAY_IMPORT)


def test_the_package_itself_loads_only_the_version() -> None:
    """``bakery/__init__.py`` is loaded before every part; it loads the program when a user's program asks for it."""
    assert top_level_imports(source_tree.modules()["bakery"]) & set(source_tree.modules()) == {"bakery.version"}
    assert set(part_imports("bakery").values()) == {"version", "program"}


def test_a_part_may_only_import_parts_below_it() -> None:
    order = list(MAY_IMPORT)
    upward = [
        f"{part} -> {other}"
        for position, part in enumerate(order)
        for other in MAY_IMPORT[part]
        if other not in order[:position]
    ]
    assert upward == []


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_imports_only_what_it_may(part: str) -> None:
    assert forbidden(part) == []


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_may_import_only_what_it_imports(part: str) -> None:
    """All parts may use the words, whether they do or not."""
    used = {*part_imports(part).values(), *(() if part in WORDS else WORDS)}
    assert [other for other in MAY_IMPORT[part] if other not in used] == []


def test_the_rule_notices_an_unknown_part_and_an_upward_import(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {part: allowed for part, allowed in MAY_IMPORT.items() if part != "codec"}
    monkeypatch.setattr(sys.modules[__name__], "MAY_IMPORT", others | {"plan": ()})
    assert any("imports bakery.recipe" in line for line in forbidden("plan"))
    with pytest.raises(AssertionError):
        test_every_part_is_named_and_nothing_else()
    assert part_of("bakery.__main__") not in MAY_IMPORT


def test_no_module_imports_itself_in_a_circle() -> None:
    """Imports inside functions and those that only the type checker sees count too."""
    graph = {
        name: {found.module for found in source_tree.imports(path)} & set(source_tree.modules()) - {name}
        for name, path in source_tree.modules().items()
    }
    assert circle(graph) == ()


def circle(graph: dict[str, set[str]]) -> tuple[str, ...]:
    """The first circle of a graph, as the modules on it; empty when there is none."""
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> tuple[str, ...]:
        if name in way:
            return (*way[way.index(name) :], name)
        if name in done:
            return ()
        for other in sorted(graph.get(name, ())):
            if found := visit(other, (*way, name)):
                return found
        done.add(name)
        return ()

    return next((found for name in graph if (found := visit(name, ()))), ())


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ("b", "c", "b")
    assert circle({"a": {"b"}, "b": {"c"}}) == ()


def test_libraries_neither_print_nor_exit() -> None:
    wrong = []
    for name, path in source_tree.modules().items():
        if within(name, *SPEAKERS):
            continue
        for node in source_tree.nodes(path):
            if (
                isinstance(node, ast.Call)
                and name_called(node) in ("print", "exit", "quit")
                and ast.unparse(node.func) in ("print", "sys.exit", "exit", "quit")
                and not any(keyword.arg == "file" for keyword in node.keywords)
            ):
                wrong.append(f"{path}:{node.lineno} {ast.unparse(node.func)}")
    assert wrong == []
