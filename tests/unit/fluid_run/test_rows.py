"""A job as a row of rcc-run's table, and what is read of its output files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bakery.fluid_run import rows
from bakery.orders.model import RunOrder
from bakery.recipe.machine_kinds import NicType, Provisioning
from bakery.recipe.model import ClusterShape, Partition, Suite, SuiteJob
from bakery.results.app_runs import APP_RUNS
from bakery.settings.cluster import Profile

SHAPE = ClusterShape(
    (
        Partition("first", machine_type="c2-standard-4"),
        Partition("gpu", machine_type="n1-standard-8", gpu_type="nvidia-tesla-v100", gpu_count=2, gvnic=True),
    ),
    controller_machine_type="n1-standard-2",
    controller_disk_size_gb=100,
)
JOB = SuiteJob("group", "run.sh 1", "out", "gpu", "--nodes=3")
ORDER = RunOrder("a-1", "d", "a", "", Suite((JOB,), SHAPE), (), "abc", "gcc", "")


def test_a_row_says_what_ran_where_and_how_it_came_out(tmp_path: Path) -> None:
    (tmp_path / "stdout").write_text("hello")
    raw = {"node_count": 3, "allocated_cpus": 24, "exit_code": 0, "max_memory_gb": 1.5, "runtime": 2.5}
    row = rows.row(ORDER, JOB, raw, tmp_path)
    assert row.keys() <= {field.name for field in APP_RUNS}
    assert {name: value for name, value in row.items() if value is not None} == {
        **{"application_name": "a", "artifact_type": "gce image", "vm_image": "a-1", "git_sha": "abc"},
        **{"command_group": "group", "execution_command": "run.sh 1", "benchmark_name": "out"},
        **{"batch_options": "--nodes=3", "partition": "gpu", "compiler": "gcc"},
        **{"controller_machine_type": "n1-standard-2", "controller_disk_size_gb": 100},
        **{"machine_type": "n1-standard-8", "gpu_type": "nvidia-tesla-v100", "gpu_count": 2, "gvnic": True},
        **{"compact_placement": False, "node_count": 3, "allocated_cpus": 24, "allocated_gpus": 6},
        **{"nic_type": "GVNIC", "provisioning_model": "standard", "cluster_profile": "simple"},
        **{"exit_code": 0, "max_memory_gb": 1.5, "runtime": 2.5, "stdout": "hello"},
    }


def test_a_row_says_what_else_makes_the_figure_what_it_is(tmp_path: Path) -> None:
    part = Partition("gpu", 2, machine_type="h4d-highmem-192", nic_type=NicType.IRDMA, rdma_network="falcon")
    part = replace(part, threads_per_core=1, reservation="r", disk_type="hyperdisk-balanced", disk_size_gb=60)
    order = replace(ORDER, suite=Suite((JOB,), ClusterShape((part,))))
    row = rows.row(order, JOB, {}, tmp_path)
    assert (row["nic_type"], row["rdma_network"], row["threads_per_core"]) == ("IRDMA", "falcon", 1)
    assert (row["reservation"], row["provisioning_model"]) == ("r", "standard")
    assert (row["compute_disk_type"], row["compute_disk_size_gb"]) == ("hyperdisk-balanced", 60)
    flexible = replace(part, provisioning=Provisioning.FLEX_START, reservation="")
    order = replace(ORDER, suite=Suite((JOB,), ClusterShape((flexible,))))
    assert rows.row(order, JOB, {}, tmp_path)["provisioning_model"] == "flex-start"


def test_a_row_says_how_its_cluster_was_configured(tmp_path: Path) -> None:
    shape = replace(SHAPE, profile=Profile.PRODUCTION)
    assert rows.row(replace(ORDER, suite=Suite((JOB,), shape)), JOB, {}, tmp_path)["cluster_profile"] == "production"
    existing = replace(ORDER, suite=Suite((JOB,), ClusterShape(partitions=(), login_nodes=0)))
    assert rows.row(existing, JOB, {}, tmp_path)["cluster_profile"] is None


def test_a_job_of_which_nobody_heard_has_no_good_exit_code(tmp_path: Path) -> None:
    row = rows.row(ORDER, JOB, {}, tmp_path)
    assert (row["exit_code"], row["allocated_gpus"], row["stdout"], row["runtime"]) == (999, 0, None, None)


def test_the_partition_that_a_job_ran_in_counts_and_without_one_the_first() -> None:
    assert rows.partition(SHAPE, "gpu").gpu_count == 2
    assert rows.partition(SHAPE, "").name == rows.partition(SHAPE, "unknown").name == "first"
    assert rows.partition(ClusterShape(()), "any") == Partition("any")


def test_of_an_output_the_last_characters_are_kept(tmp_path: Path) -> None:
    (tmp_path / "stdout").write_bytes(b"begin middle end")
    assert rows.text(tmp_path, "stdout", 3) == "end"
    assert rows.text(tmp_path, "stdout", 16) == rows.text(tmp_path, "stdout") == "begin middle end"
    (tmp_path / "stdout").write_bytes(b"\xff")
    assert rows.text(tmp_path, "stdout") == "\ufffd"


def test_nothing_outside_of_the_jobs_folder_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "stdout").symlink_to("../secret")
    assert rows.text(folder, "stdout") is None
    assert rows.text(folder, "../secret") is None
    assert rows.text(folder, "missing") is None
    assert rows.text(folder, ".") is None
