"""A cluster without machines that follows a script in the settings: for tests and for trying out a stack.

The script is the mapping ``fake.tests``, by package (or ``"*"``), all keys optional::

    {"seconds": 0.2, "exit_codes": {"<output_directory>": 1}, "stdout": {"<output_directory>": "..."},
     "stderr": {...}, "broken": 2, "image_fault": "no slurmd"}

``seconds`` is the length of a run; ``broken`` makes so many clusters in a row fail as infrastructure, then it works;
``image_fault`` lets the agent give up on the image; a job without ``stdout`` reaches its references. A file
``<state>/fake-tests/<package>.json`` stands over the settings, so that a running stack can be told something else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.errors import InfrastructureFailed
from bakery.fluid_run.agent import wire
from bakery.fluid_run.base import AgentStatus
from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.recipe.model import SuiteJob
from bakery.results.model import Stage
from bakery.settings import Settings


@dataclass(frozen=True)
class FakeClusters:
    """Clusters that only follow their script."""

    settings: Settings

    def cluster(self, run_id: str, image: ImageRecord, order: RunOrder, workspace: Path) -> FakeCluster:
        """A cluster for one run."""
        return FakeCluster(script(self.settings, order.package), order, self._folder(order.package), run_id)

    def _folder(self, package: str) -> Path:
        return StatePaths(self.settings.state).work / "fake-tests" / package


def script(settings: Settings, package: str) -> Mapping[str, Any]:
    """The script of a package."""
    file = settings.state / "fake-tests" / f"{package}.json"
    if file.is_file():
        found: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found
    tests = settings.fake.get("tests", {})
    chosen: Mapping[str, Any] = tests.get(package, tests.get("*", {}))
    return chosen


def good_figures(job: SuiteJob) -> dict[str, float]:
    """What the job's metrics would be if all were well: their references."""
    return {metric.name: 1.0 if metric.reference is None else metric.reference for metric in job.metrics}


class FakeCluster:
    """See the protocol in :mod:`bakery.fluid_run.base`."""

    queue_seconds = 0.0

    def __init__(self, told: Mapping[str, Any], order: RunOrder, folder: Path, run_id: str) -> None:
        self.told = told
        self.order = order
        self.folder = folder
        self.run_id = run_id
        self.began = 0.0
        self.up = False

    def provision(self, activity: Activity) -> None:
        """Break as often as the script says, else start the clock."""
        activity.check()
        self.folder.mkdir(parents=True, exist_ok=True)
        count = self.folder / "broken"
        so_far = int(count.read_text(encoding="ascii")) if count.exists() else 0
        if so_far < int(self.told.get("broken", 0)):
            count.write_text(str(so_far + 1), encoding="ascii")
            raise InfrastructureFailed(f"the fake machine broke ({so_far + 1})")
        self.began = time.monotonic()
        self.up = True

    def status(self) -> AgentStatus:
        """How far the clock is."""
        if not self.up:
            raise InfrastructureFailed("the fake cluster is not up")
        if self.told.get("image_fault"):
            return AgentStatus(Stage.START, ended=True, error=str(self.told["image_fault"]), image_fault=True)
        jobs = len(self.order.suite.jobs)
        seconds = float(self.told.get("seconds", 0))
        share = min(1.0, (time.monotonic() - self.began) / seconds) if seconds else 1.0
        return AgentStatus(Stage.RUN if share < 1 else Stage.COLLECT, int(share * jobs), jobs, 2, 2, ended=share >= 1)

    def collect(self, folder: Path) -> None:
        """Write what an agent would have written."""
        logs = folder / "machines" / "controller"
        logs.mkdir(parents=True, exist_ok=True)
        (logs / "console.log").write_text(f"fake controller of {self.run_id}\n", encoding="utf-8")
        if not self.up or self.told.get("image_fault"):
            return
        results: list[dict[str, Any]] = []
        for index, job in enumerate(self.order.suite.jobs):
            name = job.output_directory
            place = folder / "outputs" / name
            place.mkdir(parents=True, exist_ok=True)
            (place / "stdout").write_text(str(self._of("stdout", name, "")), encoding="utf-8")
            (place / "stderr").write_text(str(self._of("stderr", name, "")), encoding="utf-8")
            code = int(self._of("exit_codes", name, 0))
            results.append(
                {
                    "index": index,
                    "state": "FAILED" if code else "COMPLETED",
                    "exit_code": code,
                    "reason": f"job ended FAILED, exit code {code}:0" if code else "",
                    "runtime": float(self.told.get("seconds", 0)),
                    "node_count": 2,
                    "allocated_cpus": 2,
                    "max_memory_gb": 0.01,
                    "partition": job.partition or "debug",
                    "figures": {} if name in self.told.get("stdout", {}) else good_figures(job),
                    "attempts": [],
                }
            )
        content = {"version": 1, "jobs": results, "left_out": []}
        (folder / wire.RESULTS_NAME).write_text(json.dumps(content), encoding="utf-8")

    def _of(self, key: str, name: str, default: Any) -> Any:
        return self.told.get(key, {}).get(name, default)

    def logins(self) -> Sequence[str]:
        """There is no machine to log in to."""
        return [f"{self.run_id} has no machines"]

    def tear_down(self) -> None:
        """Nothing runs."""
        self.up = False
