"""An existing Slurm cluster, whose controller is reached by ssh through IAP; the agent runs there as a guest.

Nothing of the cluster is changed. The seed is unpacked into a folder of the user's home, which the nodes share. The
agent submits as that user and continues if the connection is lost. It cancels its jobs on SIGTERM, and if the host has
not asked for the status for ``LEASE_SECONDS``.
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
from bakery.fluid_run.base import AgentStatus, Login
from bakery.fluid_run.clusters import mailbox
from bakery.fluid_run.clusters.run_spec import deadline_seconds, run_spec
from bakery.fluid_run.clusters.seed import AGENT_COMMAND, write_seed
from bakery.host import locks, process
from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity, growing_pause
from bakery.results.model import Stage
from bakery.settings import Settings

GCLOUD_HINT = "install the Google Cloud CLI; the builder image has it"
QUEUE_SECONDS = 86400.0  # for jobs of other users that are scheduled first
LEASE_SECONDS = 1800.0
SILENT_SECONDS = 900.0  # without an answer until the run is given up; less than the lease
ASK_SECONDS = 10.0  # between two requests, each of which is a connection through IAP
CALL_SECONDS = 300.0
END_SECONDS = 60  # for the agent to cancel its jobs
GONE, ALIVE = "gone", "alive"
# $! of a shell without job control is setsid itself, which does not lead a process group and so becomes the agent. The
# agent is started by a login shell, as many clusters have Slurm on PATH only there.
START = f"""
mkdir -p {{folder}}/out && tar -xf {{folder}}.tar -C {{folder}} || exit 1
rm {{folder}}.tar && cd {{folder}} && touch lease || exit 1
setsid nohup bash -lc 'exec {AGENT_COMMAND} "$@"' agent --guest --name {{name}} \
--workspace "$PWD/workspace" --out "$PWD/out" >out/agent.log 2>&1 </dev/null & echo $! >pid
"""
# The process is checked first: an agent that ends between the two checks has written its last status by the second.
ASK = f"""
cd {{folder}} 2>/dev/null || {{{{ echo {GONE}; echo null; exit 0; }}}}
touch lease; if kill -0 $(cat pid); then echo {ALIVE}; else echo {GONE}; fi 2>/dev/null
if [ -e out/status.json ]; then cat out/status.json; else echo null; fi
"""
END = f"""
rm -f {{folder}}.tar; cd {{folder}} 2>/dev/null || exit 0; kill -TERM $(cat pid)
for _ in $(seq {END_SECONDS * 5}); do kill -0 $(cat pid) || break; sleep 0.2; done 2>/dev/null; cd && rm -rf {{folder}}
"""


@dataclass(frozen=True)
class StaticClusters:
    """Makes runs on the cluster of one controller; its status is requested every ``ask_seconds``."""

    settings: Settings
    controller: str
    zone: str
    ask_seconds: float = ASK_SECONDS

    def cluster(
        self, run_id: str, image: ImageRecord, order: RunOrder, workspace: Path, present: ImageRecord | None = None
    ) -> StaticCluster:
        """Return a cluster for one run; the images are only names, as the bakery does not boot the cluster."""
        return StaticCluster(self, run_id, order, workspace)


class StaticCluster:
    """One run on the cluster; see the protocol in :mod:`bakery.fluid_run.base`."""

    queue_seconds = QUEUE_SECONDS
    poll_seconds = 0.25  # status() asks less often

    def __init__(self, clusters: StaticClusters, run_id: str, order: RunOrder, workspace: Path) -> None:
        self.clusters = clusters
        self.run_id = run_id
        self.order = order
        self.workspace = workspace
        self.remote = f".fluid-run-{run_id}"  # relative to the home, where ssh and scp start
        self.local = StatePaths(clusters.settings.state).work / f"{paths.CLUSTER}{run_id}"
        self.begun = False
        self._known = AgentStatus(Stage.START)
        self._asked = self._answered = self._started = float("-inf")

    def provision(self, activity: Activity) -> None:
        """Send the seed and start the agent. Raises MissingTool without gcloud, InfrastructureFailed."""
        process.find_tool("gcloud", GCLOUD_HINT)
        activity.check()
        activity.say(f"testing: sending the workspace to {self.clusters.controller}")
        self.local.mkdir(parents=True, exist_ok=True)
        locks.sign(self.local, f"Fluid-Run {self.run_id}")
        self._write_seed()
        self.begun = True
        self._copy(activity, f"{self.local}/seed.tar", f"{self.clusters.controller}:{self.remote}.tar")
        activity.say(f"testing: starting the agent on {self.clusters.controller}")
        name = shlex.quote(self.clusters.controller)
        self._called(activity, self._ssh(START.format(folder=self.remote, name=name)))
        self._answered = self._started = time.monotonic()

    def status(self) -> AgentStatus:
        """Return the last status of the agent, at most ``ask_seconds`` old, and less while the run is young.

        Without a connection the last known status is returned for 15 minutes. Raises InfrastructureFailed after that,
        and if the agent is gone.
        """
        if time.monotonic() - self._asked < growing_pause(self.clusters.ask_seconds, self._asked - self._started):
            return self._known
        try:
            text = process.output(self._ssh(ASK.format(folder=self.remote)), timeout=CALL_SECONDS)
            lives, status = text.splitlines()[-2:]  # output of the user's profile comes first
            self._known = mailbox.to_status(json.loads(status))
        except (BakeryError, ValueError) as error:  # no answer, or only a part of it
            if time.monotonic() - self._answered < SILENT_SECONDS:
                return self._known
            tail = error.tail if isinstance(error, BakeryError) else ()
            raise InfrastructureFailed(f"{self.clusters.controller} does not answer on ssh", tail=tail) from error
        finally:
            self._asked = time.monotonic()
        self._answered = self._asked
        if lives == GONE and not self._known.ended:
            raise InfrastructureFailed(f"the agent on {self.clusters.controller} is gone", tail=self._last_words())
        return self._known

    def reimage(self, name: str, activity: Activity) -> None:
        """Refuse: nothing of an existing cluster is changed."""
        raise InfrastructureFailed(f"{name} is a machine of an existing cluster, which only its owner upgrades")

    def collect(self, folder: Path) -> None:
        """Download the results into ``folder`` and the agent's log below ``machines/<controller>``, if they exist."""
        logs = folder / "machines" / self.clusters.controller
        logs.mkdir(parents=True, exist_ok=True)
        if not self.begun:
            return
        packed = self.local / "results.tar"
        for name, target in (("agent.log", logs / "console.log"), ("results.tar", packed)):
            with contextlib.suppress(BakeryError):
                self._copy(Activity(), f"{self.clusters.controller}:{self.remote}/out/{name}", str(target))
        if packed.is_file():
            with packed.open("rb") as source:
                mailbox.unpack(source, logs)
        mailbox.promote_results(logs, folder)

    def collect_consoles(self, folder: Path) -> None:
        """Do nothing: ``collect`` copies them."""

    def logins(self) -> Sequence[Login]:
        """Return a gcloud command."""
        name = self.clusters.controller
        return [Login(name, shlex.join(self._gcloud("ssh", name)), program="gcloud", leave="exit")]

    def tear_down(self) -> None:
        """Stop the agent, which cancels its jobs, and delete the folder; if that fails, the lease ends the run."""
        if self.begun:
            self.begun = False
            with contextlib.suppress(BakeryError):
                self._called(Activity(), self._ssh(END.format(folder=self.remote)))
        shutil.rmtree(self.local, ignore_errors=True)

    def _write_seed(self) -> None:
        google = self.clusters.settings.google
        spec = run_spec(self.order, self.run_id, (), munge_key="", start_seconds=0, project=google.project)
        spec |= {
            "lease_seconds": LEASE_SECONDS,
            "step_seconds": self.clusters.ask_seconds / 2,
            "deadline_seconds": deadline_seconds(self.order) + QUEUE_SECONDS,
        }
        with (self.local / "seed.tar").open("wb") as sink:
            write_seed(sink, spec, self.workspace)

    def _last_words(self) -> tuple[str, ...]:
        with contextlib.suppress(BakeryError):
            return tuple(process.output(self._ssh(f"tail -n 40 {self.remote}/out/agent.log")).splitlines())
        return ()

    def _gcloud(self, verb: str, *words: str) -> list[str]:
        where = (f"--project={self.clusters.settings.google.project}", f"--zone={self.clusters.zone}")
        return ["gcloud", "compute", verb, *where, "--tunnel-through-iap", "--quiet", *words]

    def _with_key(self, verb: str, *words: str) -> list[str]:
        """Return a gcloud command with the run's own key, which gcloud makes and whose access expires."""
        return self._gcloud(verb, f"--ssh-key-file={self.local / 'key'}", "--ssh-key-expire-after=1d", *words)

    def _ssh(self, script: str) -> list[str]:
        return self._with_key("ssh", self.clusters.controller, f"--command={script.strip()}")

    def _copy(self, activity: Activity, source: str, target: str) -> None:
        self._called(activity, self._with_key("scp", source, target))

    def _called(self, activity: Activity, command: Sequence[str]) -> None:
        try:
            process.run(command, activity=activity, timeout=CALL_SECONDS)
        except (CommandFailed, TimedOut) as error:
            hint = "give the account IAP's tunnel and OS Login on the controller, see docs/rcc-run.md"
            raise InfrastructureFailed(
                f"{self.clusters.controller}: {error.message}", tail=error.tail, replay=error.replay, hint=hint
            ) from error
