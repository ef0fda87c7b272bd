"""A Slurm cluster that is there already: its controller is reached by ssh through IAP, and the agent is its guest.

Nothing of the cluster is changed. Agent, course and workspace go into a folder of the user's home that the nodes share;
the agent submits as that user, and goes on when the connection is lost. It ends its jobs when it is told to, and by
itself when nobody has asked for it for ``LEASE_SECONDS``.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bakery import paths
from bakery.errors import BakeryError, CommandFailed, InfrastructureFailed, TimedOut
from bakery.fluid_run.base import AgentStatus
from bakery.fluid_run.clusters import mailbox
from bakery.fluid_run.clusters.run_spec import deadline_seconds, run_spec
from bakery.fluid_run.clusters.seed import AGENT_COMMAND, write_seed
from bakery.host import locks, process
from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.results.model import Stage
from bakery.settings import Settings

GCLOUD_HINT = "install the Google Cloud CLI; the builder image has it"
QUEUE_SECONDS = 86400.0  # other people's jobs may be before ours
LEASE_SECONDS = 1800.0
SILENT_SECONDS = 900.0  # without an answer before the run is given up; below the lease
ASK_SECONDS = 10.0  # between two questions: each is a connection through IAP
CALL_SECONDS = 300.0
END_SECONDS = 60  # that the agent may take to end its jobs
GONE, ALIVE = "gone", "alive"
# $! of a shell without job control is setsid itself, which leads no process group and so becomes the agent. A login
# shell in between: many a cluster has Slurm on PATH for these only.
START = f"""
mkdir -p {{folder}}/out && tar -xf {{folder}}.tar -C {{folder}} || exit 1
rm {{folder}}.tar && cd {{folder}} && touch lease || exit 1
setsid nohup bash -lc 'exec {AGENT_COMMAND} "$@"' agent --guest --name {{name}} \
--workspace "$PWD/workspace" --out "$PWD/out" >out/agent.log 2>&1 </dev/null & echo $! >pid
"""
# The process first: an agent that ends between the two looks has written its last words by the second.
ASK = f"""
cd {{folder}} 2>/dev/null || {{{{ echo {GONE}; echo null; exit 0; }}}}
touch lease; if kill -0 $(cat pid); then echo {ALIVE}; else echo {GONE}; fi 2>/dev/null
if [ -e out/status.json ]; then cat out/status.json; else echo null; fi
"""
END = f"""
rm -f {{folder}}.tar; cd {{folder}} 2>/dev/null || exit 0; kill -TERM $(cat pid)
for _ in $(seq {END_SECONDS}); do kill -0 $(cat pid) || break; sleep 1; done 2>/dev/null; cd && rm -rf {{folder}}
"""


@dataclass(frozen=True)
class StaticClusters:
    """Runs on the cluster of one controller; ``ask_seconds`` lie between two questions for the status."""

    settings: Settings
    controller: str
    zone: str
    ask_seconds: float = ASK_SECONDS

    def cluster(self, run_id: str, image: ImageRecord, order: RunOrder, workspace: Path) -> StaticCluster:
        """A visit for one run; what the cluster boots from is its owner's to know, so ``image`` is only a name."""
        return StaticCluster(self, run_id, order, workspace)


class StaticCluster:
    """One run on it; see the protocol in :mod:`bakery.fluid_run.base`."""

    queue_seconds = QUEUE_SECONDS

    def __init__(self, made: StaticClusters, run_id: str, order: RunOrder, workspace: Path) -> None:
        self.made = made
        self.run_id = run_id
        self.order = order
        self.workspace = workspace
        self.there = f".fluid-run-{run_id}"  # below the home, where ssh and scp begin
        self.here = StatePaths(made.settings.state).work / f"{paths.CLUSTER}{run_id}"
        self.begun = False
        self._known = AgentStatus(Stage.START)
        self._asked = self._answered = float("-inf")

    def provision(self, activity: Activity) -> None:
        """Send agent, course and workspace, and start the agent. Raises MissingTool without gcloud."""
        process.find_tool("gcloud", GCLOUD_HINT)
        activity.check()
        activity.say(f"testing: sending the workspace to {self.made.controller}")
        self.here.mkdir(parents=True, exist_ok=True)
        locks.sign(self.here, f"Fluid-Run {self.run_id}")
        seed = self.here / "seed.tar"
        self._write_seed(seed)
        self.begun = True
        self._copy(activity, str(seed), f"{self.made.controller}:{self.there}.tar")
        activity.say(f"testing: starting the agent on {self.made.controller}")
        start = START.format(folder=self.there, name=shlex.quote(self.made.controller))
        self._called(activity, self._ssh(start))
        self._answered = time.monotonic()

    def status(self) -> AgentStatus:
        """What the agent last said, at most ``ask_seconds`` old.

        A lost connection changes nothing for 15 minutes. Raises InfrastructureFailed after that, and when the agent
        is gone.
        """
        if time.monotonic() - self._asked < self.made.ask_seconds:
            return self._known
        try:
            text = process.output(self._ssh(ASK.format(folder=self.there)), timeout=CALL_SECONDS)
            lives, status = text.splitlines()[-2:]  # what the user's own profile prints stands before
            self._known = mailbox.to_status(json.loads(status))
        except (BakeryError, ValueError) as error:  # no answer, or part of one
            if time.monotonic() - self._answered < SILENT_SECONDS:
                return self._known
            tail = error.tail if isinstance(error, BakeryError) else ()
            raise InfrastructureFailed(f"{self.made.controller} does not answer on ssh", tail=tail) from error
        finally:
            self._asked = time.monotonic()
        self._answered = self._asked
        if lives == GONE and not self._known.ended:
            raise InfrastructureFailed(f"the agent on {self.made.controller} is gone", tail=self._last_words())
        return self._known

    def collect(self, folder: Path) -> None:
        """Results and outputs at the top, the agent's log below ``machines/<controller>``; as much as there is."""
        place = folder / "machines" / self.made.controller
        place.mkdir(parents=True, exist_ok=True)
        if not self.begun:
            return
        packed = self.here / "results.tar"
        for name, target in (("agent.log", place / "console.log"), ("results.tar", packed)):
            with contextlib.suppress(BakeryError):
                self._copy(Activity(), f"{self.made.controller}:{self.there}/out/{name}", str(target))
        if packed.is_file():
            with packed.open("rb") as source:
                mailbox.unpack(source, place)
        mailbox.promote_results(place, folder)

    def logins(self) -> Sequence[str]:
        """A line of gcloud."""
        return [f"{self.made.controller}: {shlex.join(self._gcloud('ssh', self.made.controller))}"]

    def tear_down(self) -> None:
        """End the agent, which ends its jobs, and take away the folder; what can't be reached ends by itself."""
        if self.begun:
            self.begun = False
            with contextlib.suppress(BakeryError):
                self._called(Activity(), self._ssh(END.format(folder=self.there)))
        shutil.rmtree(self.here, ignore_errors=True)

    def _write_seed(self, file: Path) -> None:
        google = self.made.settings.google
        spec = run_spec(self.order, self.run_id, (), munge_key="", start_seconds=0, project=google.project)
        spec |= {"lease_seconds": LEASE_SECONDS, "step_seconds": self.made.ask_seconds / 2}
        spec |= {"deadline_seconds": deadline_seconds(self.order) + QUEUE_SECONDS}
        with file.open("wb") as sink:
            write_seed(sink, spec, self.workspace)

    def _last_words(self) -> tuple[str, ...]:
        """What the agent printed last, if it can be had."""
        with contextlib.suppress(BakeryError):
            return tuple(process.output(self._ssh(f"tail -n 40 {self.there}/out/agent.log")).splitlines())
        return ()

    def _gcloud(self, verb: str, *words: str) -> list[str]:
        return [
            *("gcloud", "compute", verb, f"--project={self.made.settings.google.project}", f"--zone={self.made.zone}"),
            *("--tunnel-through-iap", "--quiet", *words),
        ]

    def _with_key(self, verb: str, *words: str) -> list[str]:
        """With a key of the run's own, which gcloud makes, and whose access ends by itself."""
        return self._gcloud(verb, f"--ssh-key-file={self.here / 'key'}", "--ssh-key-expire-after=1d", *words)

    def _ssh(self, script: str) -> list[str]:
        return self._with_key("ssh", self.made.controller, f"--command={script.strip()}")

    def _copy(self, activity: Activity, source: str, target: str) -> None:
        self._called(activity, self._with_key("scp", source, target))

    def _called(self, activity: Activity, command: Sequence[str]) -> None:
        try:
            process.run(command, activity=activity, timeout=CALL_SECONDS)
        except (CommandFailed, TimedOut) as error:
            hint = "the account needs IAP's tunnel and OS Login on the controller, see docs/rcc-run.md"
            raise InfrastructureFailed(
                f"{self.made.controller}: {error.message}", tail=error.tail, replay=error.replay, hint=hint
            ) from error
