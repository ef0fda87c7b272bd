"""What every back end tells consumers of its promoted images, and the file that it keeps for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest

from bakery.backends import backend
from bakery.backends.base import Backend
from bakery.backends.promoted import details
from bakery.errors import BakeryError
from bakery.library.base import ImageState, Proof, Revocation
from bakery.library.versions import to_labels
from bakery.operations.image import image
from bakery.plan.rcc_tf import Boots
from bakery.preview.cluster_fit import cluster_faults, software
from bakery.recipe.model import Metric
from bakery.results.model import Figure, JobResult, RunResult, Verdict
from bakery.settings import Settings
from tests.contract.test_libraries import REQUIRED, SETUPS, Setup
from tests.support.schemas import published


@pytest.fixture(params=sorted(SETUPS))
def setup(request: pytest.FixtureRequest, make_settings: Callable[..., Settings]) -> Iterator[tuple[Setup, Backend]]:
    made: list[Settings] = []

    def remember(**values: object) -> Settings:
        made.append(make_settings(**values))
        return made[-1]

    for one in SETUPS[request.param](remember):
        yield one, backend(made[-1])


def promoted(setup: Setup) -> str:
    name = setup.bake("rcc", "one")
    figure = Figure(Metric("HPL", "x", "Gflop/s"), 2.5, True)
    for number, verdict in enumerate((Verdict.FAILED, Verdict.PASSED)):
        job = JobResult(REQUIRED | {"vm_image": name, "build_id": f"run-{number}"}, (figure,), True)
        run = RunResult(f"run-{number}", name, "tests", verdict, f"2026-01-0{number + 1}T00:00:00Z", (job,))
        setup.library.record_run(run)
    setup.library.record_test(name, Proof.PASSED, "tests", to_labels({"slurm": "22.05.8", "pmix": "none"}))
    setup.library.promote(name, "rcc")
    return name


def test_an_image_is_told_with_its_last_run_and_figures(setup: tuple[Setup, Backend]) -> None:
    library, chosen = setup
    name = promoted(library)
    found = image(chosen, "rcc")
    jsonschema.validate(found, published("image"))
    assert (found["name"], found["state"], found["tested"]) == (name, "ACTIVE", True)
    assert (found["tested_at"], found["revoked"], found["revoke_at"]) == ("2026-01-02T00:00:00Z", False, "")
    assert found["tested_on"] == ("google" if chosen.settings.oven.in_project else "local")
    assert [(one["job"], one["name"], one["value"], one["unit"]) for one in found["figures"]] == [
        ("bench", "HPL", 2.5, "Gflop/s")
    ]
    project = chosen.location.get("project")
    assert found["instance_image"] == ({"name": name, "project": project} if project else {})
    assert found["versions"] == {"slurm": "22.05.8", "pmix": "none"}
    assert found["self_link"].endswith(f"/projects/p/global/images/{name}" if project else ".qcow2")


def test_a_family_that_points_at_nothing_is_an_error(setup: tuple[Setup, Backend]) -> None:
    library, chosen = setup
    library.bake("rcc", "one")
    with pytest.raises(BakeryError, match="the family rcc points at no image"):
        image(chosen, "rcc")


def test_a_revocation_is_told_before_and_after_its_time(setup: tuple[Setup, Backend]) -> None:
    library, chosen = setup
    name = promoted(library)
    for at, revoked in (("2999-01-01T00:00:00Z", False), ("2020-01-01T00:00:00Z", True)):
        library.library.revoke(Revocation(name, name, "bad", at, "2020-01-01T00:00:00Z"))
        found = image(chosen, "rcc")
        assert (found["revoked"], found["revoke_at"]) == (revoked, at)


def test_an_image_without_runs_has_no_figures(setup: tuple[Setup, Backend]) -> None:
    library, chosen = setup
    name = library.bake("rcc", "one")
    assert library.library.last_runs([name]) == {}
    record = library.library.find(name)
    assert record is not None and record.state is ImageState.ACTIVE
    assert (details(chosen, [record])[name]["tested_at"], details(chosen, [record])[name]["figures"]) == ("", [])
    assert (details(chosen, [record])[name]["versions"], details(chosen, [record])[name]["tested_on"]) == ({}, "never")


def test_a_file_for_consumers_is_stored_once_for_each_change(setup: tuple[Setup, Backend]) -> None:
    _, chosen = setup
    stored = [chosen.store_output("p/dev/x.auto.tfvars.json", json.dumps({"a": number})) for number in (1, 1, 2)]
    assert stored == [True, False, True]
    if "project" not in chosen.location:
        folder = Path(chosen.settings.state) / "outputs/p/dev"
        assert json.loads((folder / "x.auto.tfvars.json").read_text()) == {"a": 2}
        assert sorted(file.read_text() for file in (folder / "versions").iterdir()) == ['{"a": 1}', '{"a": 2}']


def test_images_that_cannot_be_in_one_cluster_are_found_by_what_the_library_keeps(
    setup: tuple[Setup, Backend],
) -> None:
    library, _ = setup
    head, node, unknown = (library.bake(family, "one") for family in ("head", "node", "unknown"))
    for name, slurm in ((head, "22.05.8"), (node, "23.11.4")):
        library.library.record_test(name, Proof.PASSED, "tests", to_labels({"slurm": slurm}))
    channel = library.library.derive(node, "node-stable")
    known = software(library.library.listing().images)
    machines = Boots(head, head, {("node", "a"): node, ("node", "b"): channel, ("unknown", "c"): unknown})
    assert [text.partition(" and the controller")[0] for text, _ in cluster_faults(machines, known)] == [
        f"partition a of {node}",
        f"partition b of {channel}",
    ]
