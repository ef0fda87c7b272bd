"""The machine that a failed bake left up: what a user finds in it, and how the rest of the recipe is run there."""

import json
import re
import shlex
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bakery.errors import BakeryError, CommandFailed, InfrastructureFailed, InputError, Problem
from bakery.host import process
from bakery.orders.model import BakeOrder
from bakery.ovens.local import file_server, packer, scratch
from bakery.ovens.local.machine import LOGIN, TRUST
from bakery.ovens.local.secret_files import opened
from bakery.ovens.local.template import Rendering, render, resolve, steps
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.recipe.image_names import DIGEST_SHOWN
from bakery.recipe.stage import stage
from bakery.recipe.templating import declared
from bakery.settings import NetworkSettings
from bakery.settings.network import DIRECT

THERE = "/var/tmp/bakery-debug"  # in the machine: the folder with the recipe's files, and what the shell starts with
BOOT_SECONDS = 600.0  # emulated, with all services of a cluster
COPY_SECONDS = 600.0
LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class DebugMachine:
    """A machine that runs in the scratch folder ``work`` of a failed bake. Every method raises BakeryError."""

    state: StatePaths
    root: Path
    work: Path
    port: int
    user: str
    network: NetworkSettings = DIRECT

    @property
    def image(self) -> str:
        """The name of the image that was not baked."""
        return self.work.name.removeprefix(scratch.PREFIX).rpartition("-")[0]

    @property
    def shell(self) -> str:
        """The shell line that opens a shell of root, with the variables of the recipe, in the folder of its files."""
        return f"ssh -t {shlex.join(self._access('-p'))} {self.user}@127.0.0.1 sudo -n bash --rcfile {THERE}/shell -i"

    def prepare(self, order: BakeOrder, activity: Activity) -> None:
        """Wait until the machine answers, and copy the recipe's files and variables into it."""
        self._wait(activity)
        activity.say("copying the files of the recipe")
        tree = self.work / "debug"
        shutil.rmtree(tree, ignore_errors=True)
        stage(order.files, tree / "workspace")
        (tree / "shell").write_text(start_of_shell(order), encoding="utf-8")
        self._on_it("rm", "-rf", THERE)
        target = f"{self.user}@127.0.0.1:{THERE}"
        process.output(["scp", "-q", "-r", *self._access("-P"), str(tree), target], timeout=COPY_SECONDS)

    def run(self, order: BakeOrder, step: str, activity: Activity, log: Path) -> Sequence[str]:
        """Run the provisioners of the order from ``step`` (its number or words of it) on; return what was run.

        Raises BakeFailed if one fails, and InputError if there is no such step.
        """
        packer.prepare(self.network.mirrors.packer_plugins)
        self._wait(activity)
        folder = self.work / "again"
        shutil.rmtree(folder, ignore_errors=True)
        stage(order.files, folder / "workspace")
        with (
            file_server.shared(order.variables, folder) as variables,
            opened(order.secrets, self.root, folder) as secrets,
        ):
            served = replace(order, variables=variables)
            rendering = render(served, self._builder, folder / "workspace", given=secrets, network=self.network)
            first = number_of(step, rendering)
            log.write_text(f"bakery: provisioners {first} to {len(rendering.provisioners)}\n", encoding="utf-8")
            files = (folder, folder / "workspace", log)
            call = packer.PackerRun(rendering.after(first - 1), *files, order.timeout, alive=self.runs)
            packer.build(call, activity)
        return rendering.provisioners[first - 1 :]

    def runs(self) -> bool:
        """Return whether the machine still runs."""
        return scratch.machine_of(self.work) is not None

    def end(self) -> None:
        """End the machine and delete its files."""
        scratch.clear(self.state, self.image)

    @property
    def _builder(self) -> dict[str, object]:
        """The ``null`` builder: Packer only logs in."""
        login = {"ssh_host": "127.0.0.1", "ssh_port": self.port, "ssh_private_key_file": str(self.work / "key")}
        return {"type": "null", "communicator": "ssh", **login}

    def _access(self, port: str) -> list[str]:
        return [*("-i", str(self.work / "key"), port, str(self.port)), *TRUST, "-o", "LogLevel=ERROR"]

    def _on_it(self, *words: str) -> None:
        access = [*self._access("-p"), "-o", "ConnectTimeout=10", f"{self.user}@127.0.0.1"]
        process.output(["ssh", *access, "sudo", "-n", *words])

    def _wait(self, activity: Activity) -> None:
        """Wait until ssh answers. Raises InfrastructureFailed."""
        process.find_tool("ssh", "run: sudo apt-get install openssh-client")
        activity.say("booting")
        ends = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < ends and self.runs():
            with suppress(CommandFailed, InfrastructureFailed):
                return self._on_it("true")
            activity.sleep(LOOK_SECONDS)
        hint = f"see {self.work / 'console-kept.log'}"
        raise InfrastructureFailed(f"the machine of {self.image} does not answer on ssh", hint=hint)


def find(state: StatePaths, root: Path, family: str, network: NetworkSettings = DIRECT) -> DebugMachine | None:
    """Return the machine of the last failed bake of the family that runs; None if none does."""
    found = [
        work
        for work in state.work.glob(f"{scratch.PREFIX}{family}-*-????????")
        if re.fullmatch(rf"{re.escape(scratch.PREFIX + family)}-[0-9a-f]{{{DIGEST_SHOWN}}}-\w{{8}}", work.name)
        and scratch.machine_of(work) is not None
        and (work / LOGIN).is_file()
    ]
    if not found:
        return None
    work = max(found, key=lambda one: one.stat().st_mtime)
    login = json.loads((work / LOGIN).read_text(encoding="utf-8"))
    return DebugMachine(state, root, work, login["port"], login["user"], network.seen_from(file_server.HOST))


def start_of_shell(order: BakeOrder) -> str:
    """Return what the shell in the machine starts with: the environment of the recipe's scripts, and their folder."""
    known = {**declared(order.template), **order.variables}
    pairs = [one for step in steps(order.template) for one in step.get("environment_vars") or ()]
    pairs += [f"{key}={value}" for step in steps(order.template) for key, value in (step.get("env") or {}).items()]
    values = dict(resolve(pair, known).split("=", 1) for pair in pairs if "=" in pair)
    exports = [f"export {name}={shlex.quote(text)}" for name, text in values.items() if name.isidentifier()]
    return "\n".join((*exports, f"cd {THERE}/workspace", f"PS1='[{order.name}] \\w # '", ""))


def number_of(step: str, rendering: Rendering) -> int:
    """Return the number of a provisioner, from 1 on, that ``step`` names: a number, or a part of its words.

    Raises InputError if none or more than one fits, and BakeryError for a template that Packer evaluates itself.
    """
    if rendering.hcl2:
        hint = "log in, and run its scripts by hand"
        raise BakeryError("the provisioners of a template that only Packer can evaluate are not run apart", hint=hint)
    named = rendering.provisioners
    fitting = [number for number, words in enumerate(named, start=1) if step in (str(number), words)]
    fitting = fitting or [number for number, words in enumerate(named, start=1) if not step.isdigit() and step in words]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(f"{number} ({words})" for number, words in enumerate(named, start=1))
    fault = f"{step!r} matches {len(fitting)} provisioners" if fitting else f"there is no provisioner {step!r}"
    raise InputError([Problem("--from", 1, fault, f"use one of: {known}")])
