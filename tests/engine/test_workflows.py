"""The steps of CI that run ``pulumi up``: a job ends cleanly before its time limit, and the next one continues."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bakery.library.base import ImageRecord
from bakery.operations.init import init
from tests.support.ci import PIPELINE, WORKFLOW, Runner, scripts
from tests.support.workshop import Workshop

BAKERY = f"exec {sys.executable} -c 'from bakery.cli.app import main; main()' \"$@\""
# The first time that a script asks for is some minutes ago: its deadline comes after seconds instead of a minute.
EARLIER = """if [ -f "$0.asked" ]; then exec /bin/date "$@"; fi
touch "$0.asked"
echo $(($(/bin/date +%s) - {seconds}))"""


@dataclass
class Job:
    """A job that has a step, and how it says that another job has to continue."""

    runner: Runner
    workshop: Workshop
    script: str
    continues: int

    def run(self, *, seconds: int = 60, event: str = "push") -> tuple[int, str]:
        """Run the step with a deadline in so many seconds of a minute; return exit code and what it prints."""
        (self.runner.tools / "date.asked").unlink(missing_ok=True)
        (self.runner.tools / "output").unlink(missing_ok=True)
        self.runner.add("date", EARLIER.format(seconds=60 - seconds))
        self.workshop.configure()
        done = self.runner.run(self.script, MINUTES="1", EVENT=event, CI_PIPELINE_SOURCE=event)
        return done.returncode, done.stdout + done.stderr

    @property
    def continued(self) -> bool:
        return self.runner.outputs == {"continue": "true"}


@pytest.fixture(params=["github", "gitlab"])
def job(request: pytest.FixtureRequest, workshop: Workshop, tmp_path: Path) -> Job:
    """The step of a workflow that ``bakery init`` writes, in a checkout whose oven is the fake one."""
    init(tmp_path / "images")
    github, gitlab = scripts(tmp_path / "images" / WORKFLOW), scripts(tmp_path / "images" / PIPELINE)
    runner = Runner(workshop.folder, tmp_path / "tools", workshop.env)
    runner.add("bakery", BAKERY)
    if request.param == "github":
        return Job(runner, workshop, github["up: Reconcile the library"], 0)
    return Job(runner, workshop, gitlab["images-up script"], 75)


def images(workshop: Workshop) -> dict[str, ImageRecord]:
    return {image.candidate_for: image for image in workshop.library.images()}


def test_a_job_that_is_stopped_at_its_limit_is_continued_and_nothing_is_baked_twice(job: Job) -> None:
    workshop = job.workshop
    workshop.recipe("base")
    code, text = job.run()
    assert (code, job.continued) == (0, False), text
    first = images(workshop)
    assert first.keys() == {"base"}

    workshop.recipe("long", parent="base")
    workshop.recipe("after", parent="long")
    workshop.fake = {"bakes": {"long": {"seconds": 600}}}
    code, text = job.run(seconds=15)
    assert (code, job.continued) == (job.continues, not job.continues), text
    assert "stopped at the deadline of this run" in text or "the time of this run is over" in text
    assert "Traceback" not in text
    assert images(workshop) == first
    assert workshop.pending() == []
    assert list((workshop.folder / ".bakery" / "work").glob("bake-*")) == []

    workshop.fake = {}
    code, text = job.run(event="workflow_dispatch")
    assert (code, job.continued) == (0, False), text
    second = images(workshop)
    assert second.keys() == {"base", "long", "after"}
    assert second["base"] == first["base"]
    assert sorted(workshop.families()) == ["after", "base", "long"]


def test_a_job_that_fails_before_its_limit_is_not_continued(job: Job) -> None:
    job.workshop.recipe("base")
    job.workshop.fake = {"bakes": {"base": {"fail": "bake"}}}
    code, text = job.run()
    assert code not in (0, 75), text
    assert not job.continued


def test_a_scheduled_job_mends_what_was_changed_by_hand_and_shows_the_library(job: Job, tmp_path: Path) -> None:
    workshop = job.workshop
    workshop.recipe("base")
    assert job.run()[0] == 0
    (image,) = workshop.library.images()
    workshop.library.image_file(image.name).unlink()
    code, text = job.run(event="schedule")
    assert code == 0, text
    assert workshop.library.image_file(image.name).exists()
    if not job.continues:
        text = job.runner.must_run(scripts(tmp_path / "images" / WORKFLOW)["up: Show the library"])
    assert image.name in text
    assert [one["name"] for one in json.loads((workshop.folder / "library.json").read_text())["images"]] == [image.name]
