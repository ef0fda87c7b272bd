"""Plans whose images do not work together, or not with the cluster that runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bakery.errors import Severity
from bakery.library.base import ImageRecord, Proof
from bakery.library.versions import to_labels
from bakery.preview.check import check
from bakery.preview.cluster_fit import unfit, unfit_cluster, unfit_promotions
from bakery.preview.snapshot import LibrarySnapshot
from bakery.preview.targets import targets
from tests.support.plan_builders import recipe, settings
from tests.unit.preview.test_decide import plan_of, record

HEAD, APP, OTHER = recipe("head"), recipe("app", "head"), recipe("other", "head")
PLAN = plan_of(HEAD, APP, OTHER)
NAMES = {image.family: image.name for image in PLAN.images}


def held(families: Mapping[str, str] = NAMES, **slurm: str | Mapping[str, str]) -> LibrarySnapshot:
    """A library with images of these families and their versions (of Slurm, or all), and what families point at."""
    images = []
    for image in PLAN.images:
        if image.family in slurm:
            given = slurm[image.family]
            labels = to_labels({"slurm": given} if isinstance(given, str) else given)
            images.append(replace(record(image), labels=labels))
    return LibrarySnapshot(tuple(images), families)


def said(snapshot: LibrarySnapshot, **values: Any) -> list[tuple[str, str]]:
    given = settings(**values)
    found = unfit(given, PLAN.images, snapshot, targets(given, PLAN.images, snapshot))
    assert found == (
        *unfit_promotions(given, PLAN.images, snapshot, {}),
        *unfit_cluster(given, PLAN.images, snapshot, {}),
    )
    return [(problem.severity.value, problem.message) for problem in found]


def test_images_that_fit_and_images_that_are_not_known_are_no_problem() -> None:
    assert said(held(head="23.11.4", app="22.05.8", other="23.11.4")) == []
    assert said(held()) == []
    assert said(held(head="", app="", other="")) == [], "a library of an older bakery"


def test_partitions_that_the_controller_refuses_are_named_with_both_images() -> None:
    assert said(held(head="22.05.8", app="23.11.4", other="20.02.1")) == [
        (
            "error",
            f"partition app of {NAMES['app']} and the controller of {NAMES['head']} cannot be one cluster:"
            " slurmd 23.11.4 is newer than slurmctld 22.05.8, which refuses it",
        ),
        (
            "error",
            f"partition other of {NAMES['other']} and the controller of {NAMES['head']} cannot be one cluster:"
            " slurmd 20.02.1 is 3 major releases older than slurmctld 22.05.8, which accepts 2",
        ),
    ]


def test_an_mpi_that_the_controllers_pmix_cannot_start_is_refused() -> None:
    head = {"slurm": "22.05.8", "pmix": "none"}
    ((severity, text),) = said(held(head=head, app={"slurm": "22.05.8", "open_mpi": "5.0.3"}, other="22.05.8"))
    assert (severity, text.rpartition(": ")[2]) == (
        "error",
        "srun starts Open MPI 5.0.3 through PMIx only, and the controller's Slurm has no plugin for it",
    )


def test_images_too_old_for_the_scripts_that_make_the_cluster_are_named() -> None:
    library = held(head="24.11.5", app="22.05.8", other="24.11.5")
    assert said(library, cluster={"slurmGcp": "v6", "partitions": ["other"]}) == []
    older = held(head="24.05.8", app="24.11.5", other="23.11.4")
    assert said(older, cluster={"slurmGcp": "v6", "partitions": ["other"]}) == [
        (
            "error",
            f"{NAMES[family]} cannot boot in a cluster of slurm-gcp v6:"
            f" its Slurm {slurm} is older than 24.11, which slurm-gcp v6 configures",
        )
        for family, slurm in {"head": "24.05.8", "other": "23.11.4"}.items()
    ]
    assert said(library, cluster={"slurmGcp": "v4"}) == said(library)
    assert said(held(), cluster={"slurmGcp": "v6"}) == [], "what is not known is not refused"


def test_images_that_are_for_no_cluster_are_left_out() -> None:
    library = held(head="22.05.8", app="23.11.4", other="22.05.8")
    assert said(library, cluster={"partitions": ["oth*"]}) == []
    assert said(library, cluster={"controller": "app"}) == []
    ((_, text),) = said(library, cluster={"login": "app", "partitions": ["other"]})
    assert text == (
        f"login nodes of {NAMES['app']} do not fit the controller of {NAMES['head']}:"
        " Slurm 23.11.4 is newer than slurmctld 22.05.8, which refuses it"
    )


def test_a_pin_decides_what_is_compared() -> None:
    old = ImageRecord("head-000000000000", "0" * 64, "head", "", "head", "2020-01-01T00:00:00Z", proof=Proof.PASSED)
    old = replace(old, labels=to_labels({"slurm": "20.11.9"}))
    now = held(head="22.05.8", app="22.05.8", other="22.05.8")
    given = settings(pins={"head": old.name})
    library = replace(now, images=(old, *now.images))
    errors = unfit(given, PLAN.images, library, targets(given, PLAN.images, library))
    assert [problem.severity for problem in errors] == [Severity.ERROR] * 2
    assert old.name in errors[0].message and "pin one of the two families" in errors[0].hint


def test_what_is_not_known_beside_what_is_known_is_noted_and_not_refused() -> None:
    assert said(held(head="22.05.8", app="", other="22.05.8")) == [
        ("warning", f"{NAMES['app']} is not compared with the cluster: its Slurm is not recorded")
    ]


def test_a_family_that_does_not_fit_the_running_cluster_is_not_promoted() -> None:
    library = held({}, head="24.05.1", app="24.05.1", other="23.02.7")
    ((severity, text),) = [one for one in said(library, cluster={"slurm": "23.11.2"}) if "promoted" in one[1]]
    assert (severity, text) == (
        "error",
        f"app will not be promoted: {NAMES['app']} does not fit the cluster of cluster.slurm:"
        " slurmd 24.05.1 is newer than slurmctld 23.11.2, which refuses it",
    )
    assert [one for one in said(library, cluster={"slurm": "24.05.1"}) if "promoted" in one[1]] == []


def test_a_family_that_points_there_already_is_only_noted() -> None:
    ((severity, text),) = said(held(head="24.05.1", app="24.05.1", other="23.11.1"), cluster={"slurm": "23.11"})
    assert (severity, text.partition(":")[0]) == ("warning", "app was promoted")


def test_channels_are_promoted_too() -> None:
    library = held({"app": NAMES["app"]}, head="24.05.1", app="24.05.1", other="23.11.1")
    found = said(library, cluster={"slurm": "23.11"}, channels={"stable": ["app"]})
    texts = [text.partition(":")[0] for _, text in found]
    assert texts == ["app was promoted", "app-stable will not be promoted"]


def test_a_controller_that_the_running_cluster_cannot_be_continued_with_is_refused() -> None:
    library = held({}, head="22.05.8", app="22.05.8", other="22.05.8")
    assert [text.partition(":")[0] for _, text in said(library, cluster={"slurm": "24.05.1"})] == [
        "head will not be promoted",
        *(f"{family} will not be promoted" for family in ("app", "other")),
    ]


def test_settings_of_the_cluster_name_families_of_the_plan_and_a_release() -> None:
    cluster = {"slurm": "23.07.1", "controller": "haed", "login": "app", "partitions": ["gpu*"]}
    found = [str(problem) for problem in check(settings(cluster=cluster), PLAN.images, None)]
    assert [text.partition("image-bakery:")[2].partition(";")[0] for text in found] == [
        "cluster.controller: the plan has no family haed",
        "cluster.partitions: no family of the plan matches 'gpu*'",
        "cluster.slurm: 23.07.1 is not a release of Slurm",
    ]
