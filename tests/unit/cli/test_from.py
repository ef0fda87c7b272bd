"""The setting ``from``: a stack that takes what another one has proven. Everything without an engine."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
from dataclasses import replace
from datetime import timedelta

import jsonschema
import pytest

from bakery.backends import backend
from bakery.backends.source import take_proven
from bakery.errors import BakeryError, InputError
from bakery.library import revocation
from bakery.library.base import Proof, Want
from bakery.library.local.library import LocalLibrary
from bakery.operations.plan import plan_of, report_of
from bakery.operations.report_failure import report_failure
from bakery.operations.tfvars import variables
from bakery.plan.model import Plan
from bakery.preview.model import Action
from bakery.results.model import JobResult, RunResult, Verdict
from bakery.settings import from_file
from tests.support.checkout import Checkout
from tests.support.schemas import published

TESTS = "a" * 64


def prove(library: LocalLibrary, name: str, run: str, days: int = 2) -> None:
    """Let the image pass two tests, that long ago, on partitions of two machine types."""
    rows: list[dict[str, object]] = [
        {"partition": "small", "machine_type": "n2-standard-4", "node_count": 1},
        {"partition": "small", "machine_type": "n2-standard-4", "node_count": 3},
        {"partition": "big", "machine_type": "c2-standard-60", "provisioning_model": "spot"},
    ]
    started = (revocation.utc(library.now()) - timedelta(days=days, hours=1)).isoformat()
    library.record_run(RunResult(run, name, TESTS, Verdict.PASSED, started, tuple(JobResult(row) for row in rows)))
    library.record_test(name, Proof.PASSED, TESTS)


@pytest.fixture
def dev(checkout: Checkout) -> LocalLibrary:
    """The library of ``dev``, where ``base`` and ``app`` are proven and promoted; ``prod`` takes them."""
    checkout.settings("prod", oven="fake", state=".prod", packages="nowhere", common="nowhere", **{"from": "dev"})
    assert checkout.invoke("bake", "app").exit_code == 0
    library = LocalLibrary(from_file(checkout.root, "dev"))
    for image in library.images():
        prove(library, image.name, f"run-{image.candidate_for}")
        library.promote(image.name, image.candidate_for, Want("image-bakery/dev", image.candidate_for, image.name, "t"))
    return library


def prod(checkout: Checkout) -> LocalLibrary:
    return LocalLibrary(from_file(checkout.root, "prod"))


def errors(checkout: Checkout) -> str:
    done = checkout.run("plan", "--stack", "prod")
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr


def test_the_plan_is_what_the_source_has_proven_with_proof_and_age(checkout: Checkout, dev: LocalLibrary) -> None:
    shutil.rmtree(checkout.root / "packages")
    (checkout.root / "bakery.lock").unlink()
    app = dev.families()["app"]
    done = checkout.run("plan", "--stack", "prod")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("app-", "base-"))]
    assert [line.split()[0] for line in lines] == [dev.families()["base"], app], "a parent comes first"
    assert ["adopted" in line and "from dev, proven 2 days ago by 3 tests" in line for line in lines] == [True, True]
    report = json.loads(checkout.invoke("plan", "--stack", "prod", "--json").stdout)
    jsonschema.Draft202012Validator(published("plan")).validate(report)
    assert report["images"][1]["parent"] == "base"
    assert report["images"][1]["taken"]["image"] == app
    report_ = report_of(from_file(checkout.root, "prod"))
    assert str(report_.decisions[1]) == f"app: {app} from dev, proven 2 days ago by 3 tests"


def test_the_plan_says_which_images_have_to_pass_which_tests_here(checkout: Checkout, dev: LocalLibrary) -> None:
    def plan(smoke: object, **values: object) -> Plan:
        origin = {"stack": "dev", "smoke": smoke}
        checkout.settings("prod", oven="fake", state=".prod", **{"from": origin, **values})
        return plan_of(from_file(checkout.root, "prod"))

    checkout.suite("base", "hello")
    checkout.suite("app", "speed", "size")
    base, app = plan(True).images
    assert base.smoke and app.smoke
    assert [job.output_directory for job in app.smoke.suite.jobs] == ["speed", "size"]
    assert str(app.taken and app.taken.words).endswith("by 3 tests; 2 smoke tests here before its promotion")
    assert str(base.taken and base.taken.words).endswith("by 3 tests; 1 smoke test here before its promotion")
    assert app.tests and app.tests.digest == TESTS, "it is proven by what it has passed there"
    base, one = plan(["size"]).images
    assert (base.smoke, [job.output_directory for job in one.smoke.suite.jobs] if one.smoke else []) == (None, ["size"])
    assert one.smoke and one.smoke.digest != app.smoke.digest
    _, group = plan(["app"]).images
    assert group.smoke and len(group.smoke.suite.jobs) == 2, "a command group names its jobs"
    with pytest.raises(InputError, match=r":\d: error: image-bakery:from: no recipe has a job 'sped', for a smoke"):
        plan(["sped"])
    with pytest.raises(InputError) as wrong:
        plan(True, packages="nowhere")
    assert "no recipe of this checkout has tests of app, for a smoke test; add it below " in str(wrong.value)


def test_image_parents_and_proof_travel_and_a_second_time_nothing_is_copied(
    checkout: Checkout, dev: LocalLibrary
) -> None:
    app, target = dev.families()["app"], backend(from_file(checkout.root, "prod"))
    assert take_proven(target, app)
    theirs = {image.name: image for image in prod(checkout).images()}
    assert theirs.keys() == {image.name for image in dev.images()}
    assert prod(checkout).proofs(theirs.values()) == dev.proofs(dev.images())
    assert prod(checkout).runs(app) == dev.runs(app) != []
    assert [(one.event, one.why) for one in prod(checkout).history.entries("app")] == [
        ("adopted", "taken from the stack dev")
    ]
    file = prod(checkout).image_file(app)
    before = file.stat().st_mtime_ns
    assert not take_proven(target, app)
    assert (file.stat().st_mtime_ns, len(prod(checkout).history.entries("app"))) == (before, 1)
    prod(checkout).promote(app, "app")
    prod(checkout).promote(dev.families()["base"], "base")
    report = report_of(target.settings, target.existing_library)
    assert {one.action for one in report.decisions} == {Action.KEEP}
    assert [str(one.reasons[0])[:8] for one in report.decisions] == ["from dev"] * 2


def test_partitions_are_those_of_the_tests(checkout: Checkout, dev: LocalLibrary) -> None:
    plan = plan_of(from_file(checkout.root, "prod"))
    app = next(image for image in plan.images if image.family == "app")
    assert app.partitions == ("app-small", "app-big")
    assert app.tests is not None
    small, big = app.tests.suite.cluster.partitions
    assert (small.nodes, small.machine_type, big.machine_type, big.provided) == (
        *(3, "n2-standard-4", "c2-standard-60"),
        "spot",
    )
    target = backend(from_file(checkout.root, "prod"))
    for family in ("base", "app"):
        take_proven(target, dev.families()[family])
        prod(checkout).promote(dev.families()[family], family)
    found = variables(target.settings)
    assert [one["machine_type"] for one in found["partitions"]] == ["n2-standard-4", "c2-standard-60"]


def test_select_names_packages_and_their_parents_come_with_them(checkout: Checkout, dev: LocalLibrary) -> None:
    def families(*select: str) -> list[str]:
        checkout.settings("prod", oven="fake", state=".prod", select=[*select], **{"from": "dev"})
        return [image.family for image in plan_of(from_file(checkout.root, "prod")).images]

    assert (families("app"), families("base")) == (["base", "app"], ["base"])
    with pytest.raises(InputError, match=r"select: the stack dev has no promoted image of the package none"):
        families("none")


def test_an_image_without_proof_or_with_a_reported_failure_is_an_error(checkout: Checkout, dev: LocalLibrary) -> None:
    app, base = dev.families()["app"], dev.families()["base"]
    dev.record_test(app, Proof.FAILED, TESTS)
    text = f"Pulumi.prod.yaml:3: error: image-bakery:from: {app}, which app of the stack dev points at, has no proof"
    assert f"{text}: {app} failed its tests" in errors(checkout)
    dev.record_test(app, Proof.UNTESTED, "")
    assert f"{app} is untested" in errors(checkout)
    assert f"bakery test {app} --stack dev" in errors(checkout)
    dev.record_test(app, Proof.PASSED, TESTS)
    dev.record_test(base, Proof.UNTESTED, "")  # a recipe without tests, whose child was promoted
    assert f"{base}, which base of the stack dev points at, has no proof: {base} is untested" in errors(checkout)
    dev.record_test(base, Proof.PASSED, TESTS)
    revocation.revoke(dev, base, "weak key", dev.now())
    assert f"{base} is revoked: weak key" in errors(checkout)
    dev.drop_revocations(base)
    report_failure(backend(from_file(checkout.root, "dev")), app, "no boot")
    assert f"a failure of {app} was reported in the stack dev: no-boot" in errors(checkout)
    with pytest.raises(BakeryError, match="is not taken from the stack dev: app-000000000000 is not in the library"):
        take_proven(backend(from_file(checkout.root, "prod")), "app-000000000000")
    assert not (checkout.root / ".prod/library").exists()


def test_a_source_that_cannot_be_read_is_an_error(checkout: Checkout, dev: LocalLibrary) -> None:
    folder = dev.files.folder.parent
    for part in ("-wal", "-shm"):
        (folder / f"library.sqlite{part}").unlink(missing_ok=True)
    (folder / "library.sqlite").write_bytes(b"no database" * 1000)
    assert "Pulumi.prod.yaml:3: error: image-bakery:from: the library of dev can't be read:" in errors(checkout)
    shutil.rmtree(folder)
    assert "image-bakery:from: the stack dev has no library yet" in errors(checkout)
    assert "run: pulumi up --stack dev" in errors(checkout)
    for command in (("rollback", "app"), ("prune",), ("tfvars",)):
        done = checkout.run(*command, "--stack", "prod")
        assert (done.returncode, "has no library yet" in done.stderr) == (2, True), done.stderr


def test_a_family_that_the_source_has_no_more_is_an_error_unless_select_gives_it_up(
    checkout: Checkout, dev: LocalLibrary
) -> None:
    app, target = dev.families()["app"], backend(from_file(checkout.root, "prod"))
    take_proven(target, app)
    prod(checkout).promote(app, "app", Want("image-bakery/prod", "app", app, "t"))
    dev.drop_want("image-bakery/dev", "app", "t")
    assert dev.unpromote(app, "app")
    assert f"dev has no image of app any more, and {app} is promoted here" in errors(checkout)
    checkout.settings("prod", oven="fake", state=".prod", select=["base"], **{"from": "dev"})
    done = checkout.run("plan", "--stack", "prod")
    assert (done.returncode, f"app will point at nothing (now: {app})" in done.stdout) == (0, True), done.stderr


def test_stacks_that_take_from_each_other_or_share_a_library_are_errors(checkout: Checkout) -> None:
    def fault(source: str, **values: object) -> str:
        checkout.settings("prod", **{"oven": "fake", "state": ".prod", "from": source, **values})
        with pytest.raises(InputError) as found:
            from_file(checkout.root, "prod")
        return str(found.value)

    google = {"project": "p", "region": "r1"}
    checkout.settings("dev", oven="fake", **{"from": "prod"})
    text = "Pulumi.prod.yaml:2: error: image-bakery:from: the stacks take their images from each other: prod from dev"
    assert f"{text} from prod" in fault("dev")
    assert "each other: prod from prod" in fault("prod")
    assert "there is no stack none, as Pulumi.none.yaml does not exist; use another stack; known: dev, " in fault(
        "none"
    )
    checkout.settings("dev", oven="fake")
    assert "dev has the same library, in " in fault("dev", state=".bakery")
    assert "are on this computer, and those of prod in a project" in fault("dev", oven="cloud-build", google=google)
    checkout.settings("dev", oven="cloud-build", google=google)
    assert "dev has the same library, in the project p" in fault("dev", oven="cloud-build", google=google)
    other = {**google, "project": "q", "repository": "a/b"}
    assert "google.repository starts bakes" in fault("dev", oven="cloud-build", google=other)


def test_a_chain_of_stacks_and_secrets_of_the_source_are_fine(checkout: Checkout, dev: LocalLibrary) -> None:
    checkout.settings("last", oven="fake", state=".last", **{"from": "prod"})
    checkout.settings("dev", oven="fake", spack={"source": {"secure": "v1:xxx"}})
    settings = from_file(checkout.root, "last")
    assert settings.source_stack is not None
    assert settings.source_stack.stack == "prod"
    app, target = dev.families()["app"], backend(from_file(checkout.root, "prod"))
    take_proven(target, app)
    prod(checkout).promote(app, "app")
    assert [image.name for image in plan_of(settings).images] == [app]


def test_commands_of_recipes_say_which_stack_bakes(checkout: Checkout, dev: LocalLibrary) -> None:
    text = "Pulumi.prod.yaml:3: error: image-bakery:from: the stack prod has no recipes: it takes its images from dev"
    for command in (("bake", "app"), ("test", "app"), ("lock",)):
        done = checkout.run(*command, "--stack", "prod")
        expected = "there is no image app" if command[0] == "test" else text
        assert (done.returncode != 0, expected in done.stderr) == (True, True), done.stderr
    done = checkout.run("plan", "--stack", "prod", "--since", "HEAD")
    assert "--since:1: error: compares recipes; prod takes its images from dev" in done.stderr
    assert checkout.run("plan", "--stack", "prod", "--packages", "packages").returncode == 0
    checks = json.loads(checkout.run("doctor", "--stack", "prod", "--json").stdout)
    assert {"packer", "spack"} & {one["name"] for one in checks} == set()


def test_pins_approvals_and_revocations_of_the_stack_itself_decide(checkout: Checkout, dev: LocalLibrary) -> None:
    first, target = dev.families()["app"], backend(from_file(checkout.root, "prod"))
    take_proven(target, first)
    prod(checkout).promote(first, "app")
    (checkout.root / "packages/app/install.sh").write_text("#!/bin/bash\necho new\n")
    assert checkout.invoke("bake", "app").exit_code == 0
    second = next(image.name for image in dev.images() if image.candidate_for == "app" and image.name != first)
    prove(dev, second, "run-2", days=0)
    dev.promote(second, "app")
    waiting = replace(target.settings, approval=("app",))
    decision = report_of(waiting, target.existing_library).decisions[1]
    assert decision.target is not None
    assert (decision.target.image, decision.target.waits) == (first, "approval")
    assert str(decision).startswith(f"app: {second} from dev, proven 1 hour ago by 3 tests; waits for approval")
    pinned = replace(target.settings, pins={"app": first})
    decision = report_of(pinned, target.existing_library).decisions[1]
    assert f"pinned to {first}" in str(decision)
    take_proven(target, second)
    theirs = prod(checkout)
    revocation.revoke(theirs, second, "no boot here", theirs.now())
    problems = report_of(target.settings, target.existing_library).problems
    assert [one.hint for one in problems] == [
        f"promote another image in dev, or withdraw it here: bakery revoke {second} --undo"
    ]


def test_a_pin_to_what_the_source_has_revoked_is_warned_of(checkout: Checkout, dev: LocalLibrary) -> None:
    first = dev.families()["app"]
    (checkout.root / "packages/app/install.sh").write_text("#!/bin/bash\necho new\n")
    assert checkout.invoke("bake", "app").exit_code == 0
    second = next(image.name for image in dev.images() if image.candidate_for == "app" and image.name != first)
    prove(dev, second, "run-2")
    dev.promote(second, "app")
    revocation.revoke(dev, first, "weak key", dev.now())
    settings = replace(from_file(checkout.root, "prod"), pins={"app": first})
    (problem,) = report_of(settings).problems
    text = "Pulumi.prod.yaml:1: warning: image-bakery:pins: app is at"
    text = f"{text} {first}, which is revoked in the stack dev: weak key"
    assert str(problem) == f"{text}; remove it, or revoke it here too: bakery revoke {first} --stack prod"


def test_owners_of_a_package_in_the_checkout_count(checkout: Checkout, dev: LocalLibrary) -> None:
    checkout.settings("prod", oven="fake", state=".prod", approval=["app"], **{"from": "dev"})
    (checkout.root / "packages/app/recipe.yaml").write_text("owners: [ann@example.com]\n")
    settings = from_file(checkout.root, "prod")
    text = str(report_of(settings, backend(settings).existing_library).decisions[1])
    assert "waits for approval by ann@example.com" in text


def _killed_at(method: str, checkout: Checkout, name: str) -> None:
    """Take the image in a process that is killed when it calls the method for the first time."""
    where, _, attribute = method.rpartition(".")
    if (child := os.fork()) == 0:
        try:
            sleeper = importlib.import_module(where) if where != "LocalLibrary" else LocalLibrary
            setattr(sleeper, attribute, lambda *_args, **_more: os.kill(os.getpid(), signal.SIGKILL))
            take_proven(backend(from_file(checkout.root, "prod")), name)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize(
    "method",
    [
        *("bakery.library.local.release.sha256", "LocalLibrary.publish", "LocalLibrary._insert"),
        *("LocalLibrary.record_run", "LocalLibrary.record_test", "bakery.backends.source.HistoryEntry"),
    ],
)
def test_what_was_killed_is_repeated_and_nothing_half_done_is_left(
    checkout: Checkout, dev: LocalLibrary, method: str
) -> None:
    app, base = dev.families()["app"], dev.families()["base"]
    _killed_at(method, checkout, app)
    theirs = prod(checkout)
    assert theirs.families() == {}
    settings = from_file(checkout.root, "prod")
    assert {one.action for one in report_of(settings, lambda: theirs).decisions} == {Action.ADOPT}
    for image in theirs.images():
        file = theirs.image_file(image.name)
        assert file.read_bytes() == dev.image_file(image.name).read_bytes(), "it is whole, or not there"
    backend(settings).recover()
    take_proven(backend(settings), app)
    assert {image.name: image.proof for image in theirs.images()} == dict.fromkeys((app, base), Proof.PASSED)
    assert theirs.runs(app) == dev.runs(app)
    assert [one.event for one in theirs.history.entries("app")] == ["adopted"]
    assert not list(theirs.files.folder.glob(".*"))
