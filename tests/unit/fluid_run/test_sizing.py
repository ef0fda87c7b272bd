"""How many nodes jobs need: options of sbatch on the command line and in scripts."""

from __future__ import annotations

import pytest

from bakery.fluid_run.clusters.sizing import MachineSize, job_options, nodes_of, sized
from bakery.recipe.model import ClusterShape, Partition, SuiteJob


def job(options: str = "", partition: str | None = "big", command: str = "run.sh") -> SuiteJob:
    return SuiteJob("group", command, "out", partition, options)


@pytest.mark.parametrize(
    ("options", "cpus", "nodes"),
    [
        ("", 8, 1),
        ("--nodes=3", 8, 3),
        ("--nodes 3", 8, 3),
        ("-N3", 8, 3),
        ("-N 3", 8, 3),
        ("-N 2-4", 8, 4),
        ("-N 1-2K", 8, 2048),
        ("--ntasks=16", 8, 2),
        ("-n 17 --time=05:00", 8, 3),
        ("-n17 -c2", 8, 5),
        ("-c2 -n17", 8, 5),
        ("--ntasks=4 --cpus-per-task=16", 8, 4),
        ("--ntasks=4 --ntasks-per-node=1", 8, 4),
        ("--ntasks=120 --cpus-per-task=2 --mem=50G --time=3:00:00 --exclusive", 60, 4),
        ("--ntasks=$TASKS", 8, None),
        ("--nodes=some", 8, None),
        ("--ntasks='4", 8, None),
    ],
)
def test_nodes_by_options(options: str, cpus: int, nodes: int | None) -> None:
    assert nodes_of(job_options(job(options), ""), cpus) == nodes


def test_the_script_counts_and_the_command_line_stands_over_it() -> None:
    script = "#!/bin/bash\n#SBATCH --nodes=4  # four\n#SBATCH -n 32\n# SBATCH --nodes=9\necho --nodes=7\n"
    assert job_options(job(), script) == {"--nodes": "4", "--ntasks": "32"}
    assert job_options(job("--nodes=2"), script)["--nodes"] == "2"


def test_a_partition_has_what_its_largest_job_needs_and_never_more_than_it_had() -> None:
    shape = ClusterShape((Partition("big", nodes=25), Partition("small", nodes=2), Partition("idle", nodes=9)))
    jobs = (job("-N2"), job("-N3"), job("-N4", "small"), job("--ntasks=$N", "small"), job("-N5", "elsewhere"))
    machines = {"big": MachineSize(60, 240_000)}
    made = sized(shape, jobs, machines, lambda _path: "")
    assert [(part.name, part.nodes, part.cpus) for part in made.partitions] == [
        ("big", 3, 60),
        ("small", 2, 1),
        ("idle", 0, 1),
    ]


def test_a_job_without_partition_runs_in_the_first_and_its_script_is_read() -> None:
    shape = ClusterShape((Partition("first", nodes=9), Partition("second", nodes=9)))
    scripts = {"test/run.sh": "#SBATCH --nodes=6\n"}
    made = sized(shape, (job("", None, "test/run.sh 1 2"),), {}, lambda path: scripts.get(path, ""))
    assert [part.nodes for part in made.partitions] == [6, 0]


def test_an_order_that_does_not_tell_gets_all_there_are() -> None:
    shape = ClusterShape((Partition("big", nodes=7),))
    assert sized(shape, (job("-N $N"),), {}, lambda _path: "").partitions[0].nodes == 7
