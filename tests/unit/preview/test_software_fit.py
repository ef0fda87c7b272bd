"""Which versions work together: the tables of Slurm's, Open MPI's and PMIx' own pages."""

from __future__ import annotations

import pytest

from bakery.preview.software_fit import (
    OLDEST_SLURM,
    RunningCluster,
    mpi_fault,
    node_fault,
    release,
    takeover_fault,
)
from tests.support.root import ROOT

# "Compatible Prior Version" of https://slurm.schedmd.com/upgrades.html; 25.11 as its text says.
COMPATIBLE = {
    "23.02": ("22.05", "21.08"),
    "23.11": ("23.02", "22.05"),
    "24.05": ("23.11", "23.02"),
    "24.11": ("24.05", "23.11", "23.02"),
    "25.05": ("24.11", "24.05", "23.11"),
    "25.11": ("25.05", "24.11", "24.05"),
}
ALL = ("20.11", "21.08", "22.05", "23.02", "23.11", "24.05", "24.11", "25.05", "25.11", "26.05")


@pytest.mark.parametrize("controller", COMPATIBLE)
@pytest.mark.parametrize("node", ALL)
def test_slurmctld_accepts_the_releases_that_its_page_names(controller: str, node: str) -> None:
    accepted = node in (controller, *COMPATIBLE[controller])
    assert (node_fault(f"{controller}.1", f"{node}.9") == "") is accepted
    assert (takeover_fault(f"{node}.9", f"{controller}.1") == "") is accepted


def test_releases_are_counted_in_their_order() -> None:
    places = [release(version) for version in ALL]
    assert places == list(range(places[0], places[0] + len(ALL)))  # type: ignore[arg-type, operator]


@pytest.mark.parametrize("version", ["", "none", "23.08.1", "24.06", "19.11", "2.6.5", "22.050", "slurm"])
def test_what_is_not_a_release_is_not_compared(version: str) -> None:
    assert release(version) is None
    assert node_fault(version, "26.05.1") == node_fault("20.11.9", version) == takeover_fault(version, "20.11.9") == ""


def test_a_fault_names_both_versions() -> None:
    assert node_fault("22.05.8", "23.11.4") == "slurmd 23.11.4 is newer than slurmctld 22.05.8, which refuses it"
    assert node_fault("24.05.1", "22.05.8") == (
        "slurmd 22.05.8 is 3 major releases older than slurmctld 24.05.1, which accepts 2"
    )
    assert node_fault("22.05.8", "23.11.4", "Slurm").startswith("Slurm 23.11.4 ")
    assert takeover_fault("24.05.1", "22.05.8") == (
        "slurmctld 22.05.8 is older than the cluster's 24.05.1, whose state it cannot read"
    )
    assert takeover_fault("22.05.8", "25.05.1") == (
        "slurmctld 25.05.1 is 5 major releases newer than the cluster's 22.05.8; it takes over the state of 3"
    )


@pytest.mark.parametrize(
    ("pmix", "open_mpi", "fits"),
    [
        ("none", "5.0.3", False),
        ("none", "4.1.4", True),  # through PMI-2
        ("4.2.2", "5.0.3", True),
        ("3.2.3", "4.1.4", True),
        ("2.0.3", "4.0.7", False),
        ("2.1.4", "4.0.7", True),
        ("2", "4.0.7", True),  # only the plugin's number is known
        ("1.2.5", "3.0.0", False),
        ("1", "4.1.4", False),
        ("1.2.5", "2.1.6", True),
        ("", "5.0.3", True),
        ("none", "", True),
        ("none", "none", True),
    ],
)
def test_mpi_and_pmix(pmix: str, open_mpi: str, fits: bool) -> None:
    assert (mpi_fault(pmix, open_mpi) == "") is fits


def test_a_fault_of_mpi_names_both_versions() -> None:
    assert mpi_fault("2.0.3", "4.1.4") == "Open MPI 4.1.4 needs PMIx 2.1 or newer, and the controller's Slurm has 2.0.3"
    assert "Open MPI 5.0.3 through PMIx only" in mpi_fault("none", "5.0.3")


def test_a_controller_may_go_ahead_of_the_cluster_and_a_node_may_not() -> None:
    newer, older = {"slurm": "23.11.4"}, {"slurm": "21.08.8"}
    assert RunningCluster("22.05", controller=True).fault("a", "a-1", newer) is None
    assert RunningCluster("22.05", controller=False).fault("a", "a-1", older) is None
    for controller, versions in ((False, newer), (True, older)):
        fault = RunningCluster("22.05", controller).fault("a", "a-1", versions)
        assert fault is not None
        assert fault[0].startswith("a-1 does not fit the cluster of cluster.slurm: ")
        assert "pin a to an older image" in fault[1]
    assert RunningCluster("22.05", controller=False).fault("a", "a-1", {"os": "debian-12"}) is None


def test_the_oldest_slurm_of_the_scripts_is_that_of_their_table() -> None:
    rows = [line.split("\t") for line in (ROOT / "common/test/slurm_gcp.tsv").read_text(encoding="utf-8").splitlines()]
    read = {row[0]: row[3].removeprefix("slurm ") for row in rows if row[1:3] == ["all", "version"]}
    assert {f"v{version}": oldest for version, oldest in read.items()} == {
        one.value: ".".join(map(str, oldest)) for one, oldest in OLDEST_SLURM.items()
    }
