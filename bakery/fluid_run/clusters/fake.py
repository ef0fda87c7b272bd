"""A cluster without machines that follows a script in the settings, for tests and for trying out a stack.

The script is the mapping ``fake.tests``, by package (or ``"*"``), all keys optional::

    {"seconds": 0.2, "exit_codes": {"<output_directory>": 1}, "stdout": {"<output_directory>": "..."},
     "stderr": {...}, "broken": 2, "image_fault": "no slurmd", "lost": ["<output_directory>"],
     "versions": {"slurm": "23.11.4"}}

``seconds`` is the length of a run. ``broken`` is the number of clusters in a row that fail as infrastructure before one
works. ``image_fault`` is an error that the agent reports as a fault of the image. ``lost`` are jobs of an upgrade that
Slurm puts back into the queue, ``versions`` are those of the image's software. The figures of a job without ``stdout``
equal their references. A file ``<state>/fake-tests/<package>.json`` overrides the settings, also those of a running
stack.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bakery.errors import InfrastructureFailed
from bakery.fluid_run.agent import wire
from bakery.fluid_run.base import AgentStatus, Login
from bakery.fluid_run.clusters.run_spec import Role, machines
from bakery.host.budget import Budget, budget_of
from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.results.model import Stage
from bakery.settings import LimitSettings, Settings


@dataclass(frozen=True)
class FakeClusters:
    """Clusters that follow their script."""

    settings: Settings

    def cluster(
        self, run_id: str, image: ImageRecord, order: RunOrder, workspace: Path, present: ImageRecord | None = None
    ) -> FakeCluster:
        """Return a cluster for one run."""
        folder = StatePaths(self.settings.state).work / "fake-tests" / order.package
        boots = (present or image).name
        images = {spec.name: boots for spec in machines(order.suite.cluster)}
        mine, budget = script(self.settings, order.package), budget_of(self.settings)
        return FakeCluster(mine, order, folder, run_id, image.name, images, budget=budget)


def script(settings: Settings, package: str) -> Mapping[str, Any]:
    """Return the script of a package."""
    file = settings.state / "fake-tests" / f"{package}.json"
    if file.is_file():
        return dict(json.loads(file.read_text(encoding="utf-8")))
    tests: Mapping[str, Mapping[str, Any]] = settings.fake.get("tests", {})
    return tests.get(package, tests.get("*", {}))


@dataclass
class FakeCluster:
    """A :class:`bakery.fluid_run.base.Cluster` that follows its script; ``images`` are those of its machines."""

    script: Mapping[str, Any]
    order: RunOrder
    folder: Path
    run_id: str
    image: str = ""
    images: dict[str, str] = field(default_factory=dict)
    queue_seconds: float = 0.0
    poll_seconds: float = 0.25
    began: float = 0.0
    up: bool = False
    budget: Budget = field(default_factory=lambda: Budget(LimitSettings()))
    used: ExitStack = field(default_factory=ExitStack)

    def provision(self, activity: Activity) -> None:
        """Fail as often as scripted, else start the clock."""
        activity.check()
        self.folder.mkdir(parents=True, exist_ok=True)
        counter = self.folder / "broken"
        failed = int(counter.read_text(encoding="ascii")) if counter.exists() else 0
        if failed < int(self.script.get("broken", 0)):
            counter.write_text(str(failed + 1), encoding="ascii")
            raise InfrastructureFailed(f"the fake machine broke ({failed + 1})")
        self.used.enter_context(self.budget.used(f"the test of {self.order.image}", len(self.images)))
        self.began = time.monotonic()
        self.up = True

    def status(self) -> AgentStatus:
        """Return the status for the time that has passed."""
        if not self.up:
            raise InfrastructureFailed("the fake cluster is not up")
        if self.script.get("image_fault"):
            return AgentStatus(Stage.START, ended=True, error=str(self.script["image_fault"]), image_fault=True)
        jobs = len(self.order.suite.jobs)
        if old := self._old_nodes():
            return AgentStatus(Stage.RUN, 0, jobs, 2, 2, reimage=old[0])
        seconds = float(self.script.get("seconds", 0))
        share = min(1.0, (time.monotonic() - self.began) / seconds) if seconds else 1.0
        return AgentStatus(Stage.RUN if share < 1 else Stage.COLLECT, int(share * jobs), jobs, 2, 2, ended=share >= 1)

    def _old_nodes(self) -> list[str]:
        nodes = (spec.name for spec in machines(self.order.suite.cluster) if spec.role is Role.COMPUTE)
        return [name for name in nodes if self.images.get(name, self.image) != self.image]

    def reimage(self, name: str, activity: Activity) -> None:
        """Take the tested image."""
        activity.check()
        self.images[name] = self.image

    def collect(self, folder: Path) -> None:
        """Write the files that an agent would have written."""
        logs = folder / "machines" / "controller"
        logs.mkdir(parents=True, exist_ok=True)
        (logs / "console.log").write_text(f"fake controller of {self.run_id}\n", encoding="utf-8")
        if not self.up or self.script.get("image_fault"):
            return
        results: list[dict[str, Any]] = []
        for index, job in enumerate(self.order.suite.jobs):
            name = job.output_directory
            place = folder / "outputs" / name
            place.mkdir(parents=True, exist_ok=True)
            (place / "stdout").write_text(str(self._of("stdout", name, "")), encoding="utf-8")
            (place / "stderr").write_text(str(self._of("stderr", name, "")), encoding="utf-8")
            code = int(self._of("exit_codes", name, 0))
            good = {metric.name: 1.0 if metric.reference is None else metric.reference for metric in job.metrics}
            results.append(
                {
                    "index": index,
                    "state": "FAILED" if code else "COMPLETED",
                    "exit_code": code,
                    "reason": f"job ended FAILED, exit code {code}:0" if code else "",
                    "runtime": float(self.script.get("seconds", 0)),
                    "node_count": 2,
                    "allocated_cpus": 2,
                    "max_memory_gb": 0.01,
                    "partition": job.partition or "debug",
                    "figures": {} if name in self.script.get("stdout", {}) else good,
                    "attempts": [],
                    "job_id": str(index + 1),
                    "nodes": "debug-0",
                    "restarts": int(name in self.script.get("lost", ())),
                }
            )
        versions = dict(self.script.get("versions", {}))
        content = {"version": 1, "jobs": results, "left_out": [], "versions": versions}
        (folder / wire.RESULTS_NAME).write_text(json.dumps(content), encoding="utf-8")

    def collect_consoles(self, folder: Path) -> None:
        """Do nothing: ``collect`` copies them."""

    def _of(self, key: str, name: str, default: Any) -> Any:
        return self.script.get(key, {}).get(name, default)

    def logins(self) -> Sequence[Login]:
        """Return none: there are no machines."""
        return ()

    def tear_down(self) -> None:
        """Stop following the script."""
        self.up = False
        self.used.close()
