"""Every command that the documents show exists, and the ones that change nothing are run."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bakery import __version__
from bakery.cli.app import make_app
from tests.support import source_tree

DOCUMENTS = [
    path
    for path in source_tree.tracked()
    if str(path) in ("README.md", "CONTRIBUTING.md") or (path.parts[0] == "docs" and path.suffix == ".md")
]
# A block fenced as ```sh is checked; one fenced as ```sh run is executed too.
BLOCK = re.compile(r"(?ms)^```sh( run)?\n(.*?)^```$")
GNU = {"pip", "bq", "git", "cd", "source", ".", "export", "echo", "sudo", "apt-get", "ls", "cat", "rm"}

# What the documents use of gcloud, with the options of each command; source: the reference of the Google Cloud CLI.
GCLOUD = {
    "auth login": (),
    "auth application-default login": (),
    "auth application-default set-quota-project": (),
    "config set": (),
    "services enable": (),
    "secrets add-iam-policy-binding": ("project", "member", "role"),
    "builds submit": ("config", "substitutions", "service-account", "gcs-source-staging-dir"),
    "pubsub subscriptions create": ("topic", "message-filter"),
    "beta services identity create": ("service", "project"),
    "storage cp": (),
    "storage rm": ("recursive", "all-versions"),
    "storage service-agent": ("project", "authorize-cmek"),
    "projects describe": ("format",),
    "projects add-iam-policy-binding": ("member", "role"),
    "iam roles create": ("project", "title", "permissions"),
    "kms keys add-iam-policy-binding": ("keyring", "location", "project", "member", "role"),
    "iam workload-identity-pools providers describe": ("project", "location", "workload-identity-pool", "format"),
    "compute images list": ("no-standard-images", "show-deprecated", "filter"),
}


def commands(path: Path, executed: bool = False) -> list[list[str]]:
    """Return the commands of a document's ``sh`` blocks as words, without comments."""
    found = []
    for runs, block in BLOCK.findall(source_tree.text(path)):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"\w+=.*", words[0]):
                words = words[1:]
            if words and (runs or not executed):
                found.append(words)
    return found


def make_targets() -> set[str]:
    return set(re.findall(r"(?m)^([a-z][\w-]*):", source_tree.text(Path("Makefile"))))


@cache
def bakery_help(command: str) -> str:
    done = CliRunner().invoke(make_app(command), [command, "--help"])
    assert done.exit_code == 0, f"bakery {command}: {done.output}"
    return done.output


def make_problem(plain: list[str], _rest: list[str]) -> str:
    unknown = [word for word in plain if "=" not in word and word not in make_targets()]
    only = [word.removeprefix("ONLY=") for word in plain if word.startswith("ONLY=")]
    missing = [name for name in only if not (source_tree.ROOT / f"benchmarks/{name}.py").exists()]
    return f"no make target {unknown}" if unknown else f"no benchmark {missing}" if missing else ""


def gcloud_problem(plain: list[str], rest: list[str]) -> str:
    said = " ".join(plain)
    found = next((name for name in GCLOUD if said == name or said.startswith(f"{name} ")), None)
    options = {word.partition("=")[0].lstrip("-") for word in rest if word.startswith("-")}
    return "" if found and options <= set(GCLOUD[found]) else f"gcloud has no {shlex.join(rest)}"


def podman_problem(_plain: list[str], rest: list[str]) -> str:
    """Return what is wrong with the command that the container of this version runs."""
    image = f"image-bakery:{__version__}"
    return problem(rest[rest.index(image) + 1 :]) if image in rest else f"the container is not {image}"


CHECKS = {"make": make_problem, "gcloud": gcloud_problem, "podman": podman_problem}


def problem(words: list[str]) -> str:
    """Return what is wrong with a command of a document, or ""."""
    program, *rest = words
    plain = [word for word in rest if not word.startswith("-")]
    if program in CHECKS:
        return CHECKS[program](plain, rest)
    if program == "bakery":
        if not plain:
            return ""
        shown = bakery_help(plain[0])
        options = [word.partition("=")[0] for word in rest if word.startswith("--")]
        return next((f"bakery {plain[0]} has no {option}" for option in options if option not in shown), "")
    if program == "pulumi":
        known = {"up", "preview", "destroy", "config", "stack", "refresh", "plugin", "cancel", "login", "new"}
        return "" if plain and plain[0] in known else f"pulumi has no {plain[:1]}"
    if program.startswith(("tools/", ".ci/", ".venv/")):
        return "" if (source_tree.ROOT / program).exists() else f"there is no {program}"
    return "" if program in GNU else f"unknown program {program}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_the_commands_of_a_document_exist(path: Path) -> None:
    assert [f"{shlex.join(words)}: {fault}" for words in commands(path) if (fault := problem(words))] == []


def test_the_readme_shows_commands_and_some_are_executed() -> None:
    assert len(commands(Path("README.md"))) >= 10
    assert len(commands(Path("README.md"), executed=True)) >= 2


@pytest.mark.parametrize("words", commands(Path("README.md"), executed=True), ids=shlex.join)
def test_a_command_of_the_readme_runs(words: list[str]) -> None:
    done = subprocess.run(words, cwd=source_tree.ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


def test_every_make_target_is_explained() -> None:
    makefile = source_tree.text(Path("Makefile"))
    phony = re.search(r"(?m)^\.PHONY: (.*)$", makefile)
    assert phony is not None
    assert set(phony[1].split()) == make_targets()
    explained = set(re.findall(r"(?m)^([a-z][\w-]*):.*## \S", makefile))
    assert explained == make_targets()


def test_every_benchmark_has_a_row_in_the_table_of_figures() -> None:
    """``make bench`` runs the files whose names begin with a letter; those with options of their own say how."""
    files = [path for path in source_tree.tracked() if path.match("benchmarks/[a-z]*.py")]
    rows = re.findall(r"`make bench ONLY=(\w+)", source_tree.text(Path("docs/performance.md")))
    assert {path.stem for path in files} == set(rows)
    for path in files:
        assert f"python {path} " in source_tree.text(path) or f"python {path}." in source_tree.text(path), path
