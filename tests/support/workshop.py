"""A small checkout with the real program, the real engine and a fake oven: what the engine tests work in."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bakery.library.local.library import LocalLibrary
from bakery.settings import Settings, from_file
from tests.support.root import ROOT

STACK = "dev"
QUICK_PIP = ROOT / "tests/support/quick_pip"
TIMEOUT = 300


@dataclass(frozen=True)
class Done:
    """An engine command that ended."""

    code: int
    text: str

    def __contains__(self, words: str) -> bool:
        return words in self.text


@dataclass
class Workshop:
    """One checkout and one stack. ``env`` is what its engine runs with."""

    folder: Path
    env: dict[str, str]
    fake: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    state: str = ".bakery"
    stack: str = STACK
    provider: dict[str, str] = field(default_factory=dict)  # settings of other providers, with their prefix

    # -- the tree

    def recipe(self, name: str, parent: str = "", tests: bool = True, script: str = "true") -> Path:
        """Write a package; its base is ``parent`` or an external image of the lock."""
        package = self.folder / "packages" / name
        (package / "test").mkdir(parents=True, exist_ok=True)
        (package / "packer.json").write_text(json.dumps(template(name, parent)), encoding="utf-8")
        self.write(f"packages/{name}/install.sh", f"#!/bin/bash\n{script}\n")
        if tests:
            self.write(f"packages/{name}/test/run.sh", "#!/bin/bash\ntrue\n")
            (package / "fluidrun.yaml").write_text(yaml.safe_dump(suite(name)), encoding="utf-8")
        return package

    def write(self, path: str, text: str) -> None:
        """Write an executable file of the tree."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)

    def configure(self) -> None:
        """Write the stack's settings."""
        values: dict[str, Any] = {"oven": "fake", "state": self.state}
        values.update(self.extra)
        if self.fake:
            values["fake"] = self.fake
        file = self.folder / f"Pulumi.{self.stack}.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
        content["config"] = {f"image-bakery:{key}": value for key, value in values.items()} | self.provider
        file.write_text(yaml.safe_dump(content), encoding="utf-8")

    # -- the engine

    def command(self, *arguments: str) -> list[str]:
        return ["pulumi", *arguments, "--stack", self.stack, "--non-interactive", "--color", "never"]

    def run(self, *arguments: str, timeout: float = TIMEOUT) -> Done:
        """Run an engine command to its end."""
        self.configure()
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        return Done(done.returncode, done.stdout)

    def up(self, *arguments: str) -> Done:
        return self.run("up", "--yes", "--skip-preview", *arguments)

    def must_up(self, *arguments: str) -> Done:
        done = self.up(*arguments)
        assert done.code == 0, done.text
        return done

    def preview(self, *arguments: str) -> Done:
        return self.run("preview", *arguments)

    def steps(self, *arguments: str) -> dict[str, str]:
        """What a preview would do: "BakedImage hpcc" to its operation, unchanged ones left out."""
        done = self.run("preview", "--json", *arguments)
        assert done.code == 0, done.text
        return self.steps_of(done)

    @staticmethod
    def steps_of(done: Done) -> dict[str, str]:
        """The same of a ``preview --json`` that has run."""
        found = {}
        for step in json.JSONDecoder().raw_decode(done.text, done.text.index("{"))[0]["steps"]:
            if step["op"] in ("create", "update", "replace", "delete") and ":dynamic/" in step["urn"]:
                kind, _, name = step["urn"].rpartition("::")
                found[f"{kind.rpartition(':')[2]} {name}"] = step["op"]
        return found

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start an engine command in a session of its own."""
        self.configure()
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    # -- what came of it

    def deployment(self) -> dict[str, Any]:
        done = self.run("stack", "export")
        found: dict[str, Any] = json.loads(done.text)["deployment"]
        return found

    def resources(self, kind: str = "") -> list[dict[str, Any]]:
        """The dynamic resources in the state, those of one class."""
        end = f":{kind}" if kind else ""
        found = self.deployment().get("resources", [])
        return [one for one in found if one["type"].startswith("pulumi-python:dynamic") and one["type"].endswith(end)]

    def pending(self) -> list[Any]:
        return list(self.deployment().get("pending_operations") or ())

    def outputs(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("stack", "output", "--json").text)
        return found

    @property
    def settings(self) -> Settings:
        self.configure()
        return from_file(self.folder, self.stack)

    @property
    def library(self) -> LocalLibrary:
        return LocalLibrary(self.settings)

    def families(self) -> Mapping[str, str]:
        return self.library.families()

    def bake_logs(self) -> int:
        """How many times an image was really baked."""
        folder = self.folder / self.state / "logs"
        return sum(1 for file in folder.glob("*.log") if file.name != "plugin.log")


def template(name: str, parent: str) -> dict[str, Any]:
    """A small packer.json."""
    family, project = (parent, "{{user `project_id`}}") if parent else ("debian-12", "debian-cloud")
    return {
        "variables": {"project_id": "", "image_name": name, "image_family": name},
        "builders": [
            {
                "type": "googlecompute",
                "project_id": "{{user `project_id`}}",
                "source_image_family": family,
                "source_image_project_id": project,
                "image_family": "{{user `image_family`}}",
                "image_name": "{{user `image_name`}}",
                "zone": "us-central1-a",
                "ssh_username": "packer",
            }
        ],
        "provisioners": [{"type": "shell", "script": f"packages/{name}/install.sh"}],
    }


def suite(name: str) -> dict[str, Any]:
    """A small fluidrun.yaml."""
    job = {
        "command_group": name,
        "execution_command": f"packages/{name}/test/run.sh",
        "output_directory": f"{name}/smoke",
        "partition": "debug",
    }
    return {"tests": [job]}


def make(folder: Path, home: Path, engine_path: str, root: Path = ROOT) -> Workshop:
    """A checkout in ``folder`` with an empty stack: the program itself is the real one, that of ``root``."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(root / "__main__.py", folder)
    shutil.copy(root / "Pulumi.yaml", folder)
    (folder / "bakery").symlink_to(root / "bakery")
    (folder / ".venv").symlink_to(root / ".venv")
    (folder / "common").mkdir()
    shutil.copy(root / "bakery.lock", folder)
    (folder / "backend").mkdir()
    return Workshop(folder, environment(folder, home, engine_path, root))


def environment(folder: Path, home: Path, engine_path: str, root: Path = ROOT) -> dict[str, str]:
    """Return what the engine of the checkout in ``folder`` runs with.

    Compiled modules are beside their sources, as for users: in the suite's own place, those of ``.venv`` would have the
    names of this checkout, and each checkout would compile pulumi-gcp again.
    """
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPYCACHEPREFIX"},
        "PATH": os.pathsep.join([str(root / ".venv" / "bin"), engine_path, os.environ["PATH"]]),
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PYTHONPATH": str(QUICK_PIP),  # the engine starts pip in each command, to list plugins
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_PARALLEL": "64",
        "PULUMI_CONTINUE_ON_ERROR": "true",
    }


def init(workshop: Workshop) -> Workshop:
    """Make the stack of a workshop."""
    workshop.configure()
    done = workshop.run("stack", "init")
    assert done.code == 0, done.text
    return workshop


def wait_for(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def interrupt(process: subprocess.Popen[str]) -> None:
    """What the first Ctrl-C in a terminal does to the engine."""
    process.send_signal(signal.SIGINT)


def below(pid: int) -> list[int]:
    """All processes below ``pid``."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):  # any thread of the engine starts processes
        with contextlib.suppress(OSError):  # it ended meanwhile
            for child in thread.read_text(encoding="ascii").split():
                found += [int(child), *below(int(child))]
    return found


def alive(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
