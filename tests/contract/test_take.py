"""A stack on Google Cloud takes proven images from another project, which grants the two roles of the page, no more."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
import yaml

from bakery.backends import backend
from bakery.backends.base import Backend
from bakery.backends.source import take_proven
from bakery.errors import AccessRefused, BakeryError, InputError, Uncertain
from bakery.infrastructure.grants import TAKER_GRANTS
from bakery.library import revocation
from bakery.library.base import Proof
from bakery.library.compute_engine import events
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.operations.plan import plan_of, report_of
from bakery.operations.promote import promote
from bakery.plan.image_labels import image_labels
from bakery.preview.drift import Observed, compare
from bakery.report import plan as reports
from bakery.results.app_runs import APP_RUNS
from bakery.results.model import JobResult, RunResult, Verdict
from bakery.settings import from_file
from tests.fake_google import compute
from tests.fake_google.cloud import Cloud
from tests.fake_google.server import serve
from tests.support.schemas import published

IMAGES = "compute/compute/v1/projects/{}/global/images"
TABLE = "bigquery/bigquery/v2/projects/{}/datasets/rcc_run/tables/app_runs"
ROLES = {grant.role for grant in TAKER_GRANTS}
TESTS = "a" * 64
ROW = {"command_group": "x", "execution_command": "x", "build_id": "b", "datetime": "2026-01-01T00:00:00"}


@dataclass
class Pair:
    """The stack ``dev`` in the project ``p``, and ``prod``, which takes from it."""

    cloud: Cloud
    root: Path

    def stack(self, name: str, **google: str) -> None:
        """Write the file of a stack."""
        values: dict[str, Any] = {"oven": "cloud-build", "google": google} | ({"from": "dev"} if name == "prod" else {})
        config = {f"image-bakery:{key}": value for key, value in values.items()}
        (self.root / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": config}))

    def backend(self, name: str = "prod") -> Backend:
        return backend(from_file(self.root, name))

    def library(self, name: str = "prod") -> ComputeEngineLibrary:
        return ComputeEngineLibrary(from_file(self.root, name))

    def bake(self, family: str, parent: str = "debian-12-v1", prefix: str = "") -> str:
        """A proven image of ``dev`` that its family points at."""
        digest = hashlib.sha256(f"{family} {parent}".encode()).hexdigest()
        package = family.removeprefix(f"{prefix}-")
        labels = image_labels(
            package=package, variant="", family=family, digest=digest, parent=parent, revision="c0ffee", prefix=prefix
        )
        name = f"{family}-{digest[:12]}"
        compute.add_image(self.cloud, IMAGES.format("p"), {"name": name, "labels": {**labels}})
        library = self.library("dev")
        library.keep_manifest(name, {"base debian-12": "id:1"} if parent == "debian-12-v1" else {"install.sh": "x"})
        row = {**ROW, "exit_code": 0, "git_sha": "g", "partition": "big", "machine_type": "c2-standard-60"}
        jobs = (JobResult({**row, "vm_image": name}), JobResult({**row, "vm_image": name}))
        library.record_run(RunResult(f"run-{package}", name, TESTS, Verdict.PASSED, "2026-01-01T00:00:00Z", jobs))
        library.record_test(name, Proof.PASSED, TESTS, {"bakery-version-slurm": "23_02"})
        library.promote(name, family)
        return name

    def only(self, *roles: str) -> None:
        """Let prod have these roles in the project of dev."""
        self.cloud.conditions.elsewhere["p"] = {*roles}

    def made(self, project: str) -> dict[str, Any]:
        """The images of a project by name."""
        return {one["name"]: one for one in self.cloud.below(IMAGES.format(project))}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with serve() as server:
        made, items = Pair(server.cloud, tmp_path), server.cloud.items
        (tmp_path / "Pulumi.yaml").write_text("name: image-bakery\n")
        fields = [{"name": one.name, "type": one.type, "mode": "NULLABLE"} for one in APP_RUNS]
        for project in "pq":
            bucket = f"{project}-bakery-artifacts"
            items[f"storage/storage/v1/b/{bucket}"] = {"name": bucket}
            items[TABLE.format(project)] = {"schema": {"fields": fields}}
            items[f"pubsub/v1/projects/{project}/topics/bakery-events"] = {"name": bucket}
        for stack, project in (("dev", "p"), ("prod", "q")):
            made.stack(stack, project=project, region="us-central1", endpoint=server.url)
        yield made
        assert server.cloud.violations == []


def test_image_parent_labels_statements_and_runs_travel_and_nothing_is_an_event(pair: Pair) -> None:
    base = pair.bake("base")
    app = pair.bake("app", base)
    pair.only(*ROLES)
    events.flush()  # those of dev
    calls = len(pair.cloud.calls)
    assert take_proven(pair.backend(), app)
    events.flush()
    theirs, mine = pair.made("p"), pair.made("q")
    assert [*mine] == [base, app], "a parent comes first"
    assert mine[app]["sourceImage"].endswith(f"projects/p/global/images/{app}")
    assert {name: one["labels"] for name, one in mine.items()} == {name: one["labels"] for name, one in theirs.items()}
    assert [one.get("family") for one in mine.values()] == [None, None], "candidates"
    library = pair.library()
    assert library.manifest(base) == {"base debian-12": "id:1"}
    assert library.runs(app) == pair.library("dev").runs(app) != []
    assert len(pair.cloud.rows[TABLE.format("q")]) == 4
    assert "pubsub.projects.topics.publish" not in {method for _, method, _ in pair.cloud.calls[calls:]}
    assert [(one.event, one.stack) for one in library.history.entries("app")] == [("adopted", "prod")]
    calls = len(pair.cloud.calls)
    assert not take_proven(pair.backend(), app)
    verbs = {method.rpartition(".")[2] for _, method, _ in pair.cloud.calls[calls:]}
    assert verbs <= {"get", "list"}, "again: nothing changes"
    held = library.listing()
    planned = {image.name: image for image in plan_of(pair.backend().settings).images}
    records = {image.name: image for image in held.images}
    assert compare(Observed("image-bakery/prod", records, held.families, planned=planned)) == ()


def test_the_plan_says_where_each_image_comes_from(pair: Pair) -> None:
    app = pair.bake("app", pair.bake("base"))
    pair.only(*ROLES)
    settings = pair.backend().settings
    report = report_of(settings, pair.backend().existing_library)
    assert str(report.decisions[1]).startswith(f"app: {app} from dev, proven ")
    assert str(report.decisions[1]).endswith(" days ago by 2 tests")
    jsonschema.Draft202012Validator(published("plan")).validate(reports.to_json(report))
    (image,) = (image for image in plan_of(settings).images if image.family == "app")
    assert image.tests is not None
    assert [one.machine_type for one in image.tests.suite.cluster.partitions] == ["c2-standard-60"]
    assert (image.base.external, image.base.name) == (False, report.decisions[0].image.name)


def refused(pair: Pair, *roles: str) -> str:
    pair.only(*roles)
    with pytest.raises(InputError) as found:
        plan_of(pair.backend().settings)
    return str(found.value)


def test_a_missing_role_is_named_with_the_command_that_grants_it(pair: Pair) -> None:
    app = pair.bake("app")
    member = "--member=serviceAccount:bakery-deploy@q.iam.gserviceaccount.com"
    no_images = refused(pair, "roles/storage.objectViewer")
    assert "Pulumi.prod.yaml:2: error: image-bakery:from: the library of dev can't be read: list images" in no_images
    command = f"gcloud projects add-iam-policy-binding p {member} --role=roles/compute.imageUser"
    assert f"run: {command}; or add the account to google.takers of the stack dev" in no_images
    bucket = f"gcloud storage buckets add-iam-policy-binding gs://p-bakery-artifacts {member}"
    bucket = f"{bucket} --role=roles/storage.objectViewer"
    assert f"run: {bucket}; or add" in refused(pair, "roles/compute.imageUser")
    for roles, wanted in ((["roles/storage.objectViewer"], command), (["roles/compute.imageUser"], bucket)):
        pair.only(*roles)
        with pytest.raises(Uncertain) as told:
            pair.backend().take(app, pair.backend("dev"))
        assert (wanted in told.value.hint, isinstance(told.value, AccessRefused)) == (True, False)
    assert pair.made("q") == {}
    pair.only(*ROLES)
    assert pair.backend().take(app, pair.backend("dev"))


def test_two_stacks_of_one_project_have_names_with_other_prefixes(pair: Pair) -> None:
    url = from_file(pair.root, "dev").google.endpoint
    pair.stack("dev", project="p", region="us-central1", endpoint=url, prefix="dev")
    pair.stack("prod", project="p", region="us-central1", endpoint=url)
    pair.cloud.items["storage/storage/v1/b/p-dev-artifacts"] = {"name": "p-dev-artifacts"}
    pair.cloud.items[TABLE.format("p").replace("rcc_run", "dev_rcc_run")] = pair.cloud.items[TABLE.format("p")]
    pair.cloud.items["pubsub/v1/projects/p/topics/dev-events"] = {"name": "dev-events"}
    pair.cloud.conditions.caller = ""  # the names of its accounts have a prefix, and the fake knows none
    base = pair.bake("dev-base", prefix="dev")
    app = pair.bake("dev-app", base, prefix="dev")
    image = next(one for one in plan_of(pair.backend().settings).images if one.family == "app")
    assert (image.name, image.base.name) == (app.removeprefix("dev-"), base.removeprefix("dev-"))
    assert image.taken is not None
    assert image.taken.words.startswith(f"from dev ({app}), proven ")
    assert take_proven(pair.backend(), image.name)
    library = pair.library()
    (run,) = library.runs(image.name)
    assert (run.image, run.jobs[0].row["vm_image"]) == (image.name, image.name)
    labels = pair.made("p")[image.name]["labels"]
    assert (labels["bakery-family"], labels["bakery-parent"]) == ("app", image.base.name)
    assert "bakery-prefix" not in labels
    assert {one.name: one.proof for one in library.images()} == dict.fromkeys((image.base.name, image.name), "passed")
    assert {one.name for one in pair.library("dev").images()} == {base, app}


class Killed(BaseException):
    """The process is gone."""


def killed(pair: Pair, name: str, after: int) -> bool:
    """Take an image, and die before the change number ``after``; return whether there was one."""
    left, ask = iter(range(after)), requests.Session.request

    def dying(self: requests.Session, method: str, *args: object, **more: object) -> requests.Response:
        # Events are sent in the background: those of the process before would be counted, too.
        changes = method != "GET" and threading.current_thread().name != "events"
        if changes and next(left, None) is None:
            raise Killed
        return ask(self, method, *args, **more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(requests.Session, "request", dying)
        try:
            take_proven(pair.backend(), name)
        except Killed:
            return True
    return False


def test_what_was_killed_between_two_requests_is_repeated_and_never_half_published(pair: Pair) -> None:
    app = pair.bake("app")
    pair.only(*ROLES)
    before, points = {*pair.cloud.items}, 0
    while killed(pair, app, points):
        points += 1
        library = pair.library()
        held = {one.name: one.proof for one in library.images()}
        assert dict(library.families()) == {}
        assert held.get(app) != Proof.PASSED or (library.manifest(app) and library.runs(app)), "the proof comes last"
        assert take_proven(pair.backend(), app) is (app not in held)
        assert {one.name: one.proof for one in library.images()} == {app: Proof.PASSED}
        assert library.runs(app) == pair.library("dev").runs(app)
        assert [one.event for one in library.history.entries("app")] == ["adopted"]
        for key in {*pair.cloud.items} - before:
            del pair.cloud.items[key]
        pair.cloud.rows.pop(TABLE.format("q"), None)
    assert points >= 6


def test_a_failure_here_is_not_overwritten(pair: Pair) -> None:
    app = pair.bake("app")
    pair.only(*ROLES)
    assert take_proven(pair.backend(), app)
    assert promote(pair.backend(), "app", app).report.decisions[0].image.name == app
    assert from_file(pair.root, "prod").pins == {"app": app}
    pair.library().record_test(app, Proof.FAILED, TESTS)
    with pytest.raises(BakeryError, match="has failed its tests in the project q"):
        pair.backend().take(app, pair.backend("dev"))


def test_an_image_that_is_revoked_or_another_one_of_its_name_is_not_taken(pair: Pair) -> None:
    app = pair.bake("app")
    compute.add_image(pair.cloud, IMAGES.format("q"), {"name": app, "labels": {"bakery-digest": "0" * 32}})
    library = pair.library("dev")
    pair.only(*ROLES)
    with pytest.raises(BakeryError, match=f"there is another image {app} in the project q"):
        take_proven(pair.backend(), app)
    del pair.cloud.conditions.elsewhere["p"]
    revocation.revoke(library, app, "weak key", library.now())
    pair.only(*ROLES)
    assert f"{app} is revoked: weak key" in refused(pair, *ROLES)
