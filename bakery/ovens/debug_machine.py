"""The machine that a debugged bake left up: what a user finds in it, and how the rest of the recipe is run there."""

import shlex
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from bakery.errors import CommandFailed, InfrastructureFailed
from bakery.host import distribution, process
from bakery.orders.model import BakeOrder
from bakery.ovens.local import packer
from bakery.ovens.local.machine import TRUST
from bakery.ovens.local.template import render, resolve, steps
from bakery.progress.activity import Activity
from bakery.recipe.stage import stage
from bakery.recipe.templating import declared
from bakery.settings import NetworkSettings
from bakery.settings.network import DIRECT

THERE = "/var/tmp/bakery-debug"  # in the machine: the folder with the recipe's files, and what the shell starts with
BOOT_SECONDS = 600.0  # emulated, with all services of a cluster
COPY_SECONDS = 600.0
LOOK_SECONDS = 2.0


class Forwarded(NamedTuple):
    """A port of the loopback address that leads to a machine's ssh, and whether it still does."""

    port: int
    alive: Callable[[], bool]


class Reach(Protocol):
    """How a machine is reached from this computer. Every method raises BakeryError."""

    @property
    def program(self) -> str:
        """The program that ssh to the machine needs."""

    @property
    def host(self) -> str:
        """The name or address that ssh knows the machine by."""

    @property
    def options(self) -> Sequence[str]:
        """The options of ssh and scp that lead to it."""

    @property
    def cost(self) -> str:
        """A line about what the machine takes and when it ends by itself; "" if only its user ends it."""

    @property
    def console(self) -> str:
        """Where its console can be read."""

    def forwarded(self, log: Path) -> AbstractContextManager[Forwarded]:
        """Open a port that leads to its ssh."""

    def given(self, order: BakeOrder, folder: Path) -> AbstractContextManager[tuple[BakeOrder, Mapping[str, str]]]:
        """Yield the order with addresses that the machine can reach, and the paths of secrets that it lacks."""

    def is_up(self) -> bool:
        """Return whether the machine runs."""

    def end(self) -> None:
        """End the machine and delete its files."""


@dataclass(frozen=True)
class DebugMachine:
    """A machine that runs and whose files, such as the private ``key`` of ``user``, are in the folder ``work``.

    ``image`` is the name of the image that was not baked. Every method raises BakeryError.
    """

    image: str
    work: Path
    user: str
    reach: Reach
    network: NetworkSettings = field(default=DIRECT)

    @property
    def shell(self) -> str:
        """The shell line that opens a shell of root, with the variables of the recipe, in the folder of its files."""
        return f"ssh -t {shlex.join(self._access())} {self._login} sudo -n bash --rcfile {THERE}/shell -i"

    @property
    def program(self) -> str:
        """The program that the shell line needs."""
        return self.reach.program

    @property
    def cost(self) -> str:
        """A line about what the machine takes and when it ends by itself; "" if only its user ends it."""
        return self.reach.cost

    def prepare(self, order: BakeOrder, activity: Activity) -> None:
        """Wait until the machine answers, and copy the recipe's files and variables into it."""
        self._wait(activity)
        activity.say("copying the files of the recipe")
        tree = self.work / "debug"
        shutil.rmtree(tree, ignore_errors=True)
        stage(order.files, tree / "workspace")
        (tree / "shell").write_text(start_of_shell(order), encoding="utf-8")
        self._on_it("rm", "-rf", THERE)
        process.output(["scp", "-q", "-r", *self._access(), str(tree), f"{self._login}:{THERE}"], timeout=COPY_SECONDS)

    def run(self, order: BakeOrder, step: str, activity: Activity, log: Path) -> Sequence[str]:
        """Run the provisioners of the order from ``step`` (its number or words of it) on; return what was run.

        Raises BakeFailed if one fails, and InputError if there is no such step.
        """
        process.find_tool("packer", distribution.install("packer"))
        self._wait(activity)
        folder = self.work / "again"
        shutil.rmtree(folder, ignore_errors=True)
        stage(order.files, folder / "workspace")
        with self.reach.given(order, folder) as (served, secrets), self.reach.forwarded(log) as way:
            builder = _builder(way.port, self.work / "key")
            rendering = render(served, builder, folder / "workspace", given=secrets, network=self.network)
            first = rendering.number(step, "--from")
            log.write_text(f"bakery: provisioners {first} to {len(rendering.provisioners)}\n", encoding="utf-8")
            files = (folder, folder / "workspace", log)
            call = packer.PackerRun(rendering.after(first - 1), *files, order.timeout, alive=way.alive)
            packer.build(call, activity)
        return rendering.provisioners[first - 1 :]

    def end(self) -> None:
        """End the machine and delete its files."""
        self.reach.end()

    @property
    def _login(self) -> str:
        return f"{self.user}@{self.reach.host}"

    def _access(self) -> list[str]:
        return ["-i", str(self.work / "key"), *self.reach.options, *TRUST, "-o", "LogLevel=ERROR"]

    def _on_it(self, *words: str) -> None:
        process.output(["ssh", *self._access(), "-o", "ConnectTimeout=10", self._login, "sudo", "-n", *words])

    def _wait(self, activity: Activity) -> None:
        """Wait until ssh answers. Raises InfrastructureFailed."""
        process.find_tool("ssh", distribution.install("openssh-client"))
        activity.say("booting")
        ends, said = time.monotonic() + BOOT_SECONDS, tuple[str, ...]()
        while time.monotonic() < ends and self.reach.is_up():
            try:
                return self._on_it("true")
            except (CommandFailed, InfrastructureFailed) as error:
                said = error.tail
            activity.sleep(LOOK_SECONDS)
        text, hint = f"the machine of {self.image} does not answer on ssh", f"see {self.reach.console}"
        raise InfrastructureFailed(text, tail=said, hint=hint)


def _builder(port: int, key: Path) -> dict[str, object]:
    """Return the ``null`` builder: Packer only logs in."""
    login = {"ssh_host": "127.0.0.1", "ssh_port": port, "ssh_private_key_file": str(key)}
    return {"type": "null", "communicator": "ssh", **login}


def start_of_shell(order: BakeOrder) -> str:
    """Return what the shell in the machine starts with: the environment of the recipe's scripts, and their folder."""
    known = {**declared(order.template), **order.variables}
    pairs = [one for step in steps(order.template) for one in step.get("environment_vars") or ()]
    pairs += [f"{key}={value}" for step in steps(order.template) for key, value in (step.get("env") or {}).items()]
    values = dict(resolve(pair, known).split("=", 1) for pair in pairs if "=" in pair)
    exports = [f"export {name}={shlex.quote(text)}" for name, text in values.items() if name.isidentifier()]
    return "\n".join((*exports, f"cd {THERE}/workspace", f"PS1='[{order.name}] \\w # '", ""))
