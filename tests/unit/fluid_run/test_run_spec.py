"""The specification of a run: its machines, its jobs, and how long everything may take."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bakery.fluid_run.clusters.run_spec import (
    Role,
    allowed_seconds,
    deadline_seconds,
    machines,
    on_private_network,
    run_spec,
    slurm_seconds,
)
from bakery.orders.model import RunOrder
from bakery.recipe.model import ClusterShape, Partition, Suite, SuiteJob
from bakery.settings.cluster import Profile
from tests.support.every import every

JOB = SuiteJob("group", "run.sh", "out")
SHAPE = ClusterShape((Partition("big", nodes=2, cpus=4, memory_mb=2048, gpu_count=1), Partition("empty", nodes=0)))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("90:30", 5430),
        ("1:30:05", 5405),
        ("1-2", 93_600),
        ("1-2:30", 95_400),
        ("1-2:30:05", 95_405),
    ],
)
def test_a_time_is_what_sbatch_takes_it_for(text: str, seconds: int) -> None:
    assert slurm_seconds(text) == seconds


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ("", 3600),
        ("--time=05:00", 300),
        ("-N 2 --time 2:00:00", 7200),
        ("-t10 -N2", 600),
        ("-t 10", 600),
        ("--partition=n1-t4 --nodelist=rack-t2", 3600),
        ("--partition=n1-t4 --time=30", 1800),
        ("--gres=gpu:nvidia-tesla-t4:1", 3600),
        ("-n 2 -t 1-0", 86_400),
    ],
)
def test_a_job_may_take_what_its_options_say_and_else_an_hour(options: str, seconds: int) -> None:
    assert allowed_seconds(replace(JOB, batch_options=options)) == seconds
    assert allowed_seconds(replace(JOB, batch_options=options, attempts=3)) == 3 * seconds


def test_the_limit_of_the_suite_counts_before_that_of_the_options() -> None:
    assert allowed_seconds(replace(JOB, time_limit=60, batch_options="--time=05:00", attempts=2)) == 120


def test_there_are_a_controller_the_login_machines_and_the_nodes_of_each_partition() -> None:
    shape = replace(SHAPE, login_nodes=2, controller_cpus=3, controller_memory_mb=1024)
    assert [(one.name, one.role, one.cpus, one.memory_mb, one.partition, one.gpus) for one in machines(shape)] == [
        ("controller", Role.CONTROLLER, 3, 1024, "", 0),
        ("login-0", Role.LOGIN, 1, 768, "", 0),
        ("login-1", Role.LOGIN, 1, 768, "", 0),
        ("big-0", Role.COMPUTE, 4, 2048, "big", 1),
        ("big-1", Role.COMPUTE, 4, 2048, "big", 1),
    ]


@pytest.mark.parametrize(
    ("partitions", "runs"), [((Partition("first", nodes=0), Partition("b", nodes=0)), "first"), ((), "debug")]
)
def test_without_nodes_the_controller_runs_the_jobs(partitions: tuple[Partition, ...], runs: str) -> None:
    (head,) = machines(ClusterShape(partitions, login_nodes=0))
    assert (head.role, head.partition) == (Role.CONTROLLER, runs)


def test_machines_of_two_runs_have_no_address_of_a_card_in_common() -> None:
    first, second = (on_private_network(machines(SHAPE), run) for run in ("one", "two"))
    assert [one.address for one in first] == [f"10.77.0.{number}" for number in range(10, 14)]
    assert {one.gpus for one in first} == {0}
    macs = [one.mac for one in (*first, *second)]
    assert len(set(macs)) == 8
    assert every(len(mac) == 17 and mac.startswith("52:") for mac in macs)


def test_the_run_spec_tells_each_machine_and_each_job_once_and_how_long_all_may_take() -> None:
    jobs = (replace(JOB, time_limit=60, batch_options="-N 1", attempts=2), replace(JOB, partition="big"))
    order = RunOrder("a-1", "d", "a", "", Suite(jobs, SHAPE), (), "abc", "", "", {"X": "1"}, {"P": "share"}, True)
    told = run_spec(order, "r1", machines(SHAPE), munge_key="key", start_seconds=9, project="p")
    assert [one["name"] for one in told["machines"]] == ["controller", "login-0", "big-0", "big-1"]
    assert told["machines"][2] == {
        **{"name": "big-0", "role": "compute", "cpus": 4, "memory_mb": 2048},
        **{"partition": "big", "address": "", "mac": "", "gpus": 1},
    }
    assert [(job["partition"], job["time_limit"], job["attempts"]) for job in told["jobs"]] == [
        ("", 60, 2),
        ("big", None, 1),
    ]
    assert told["deadline_seconds"] == deadline_seconds(order) == 120 + 3600 + 120
    assert told["env"] == {"PROJECT": "p", "GIT_SHA": "abc", "GCE_IMAGE": "a-1", "X": "1"}
    assert (told["env_paths"], told["ignore_dependencies"], told["start_seconds"]) == ({"P": "share"}, True, 9)
    assert (told["munge_key"], len(told["cluster"])) == ("key", 12)


def test_the_agents_get_the_profile_and_where_the_files_of_the_site_are() -> None:
    def specification(shape: ClusterShape) -> dict[str, object]:
        order = RunOrder("a-1", "d", "a", "", Suite((JOB,), shape), (), "abc", "gcc", "")
        return json.loads(json.dumps(run_spec(order, "run", machines(shape), munge_key="", start_seconds=1)))

    made = specification(replace(SHAPE, profile=Profile.PRODUCTION, prolog="p/prolog.sh", slurm_conf="p/site.conf"))
    assert made["profile"] == "production"
    assert made["site"] == {"slurm_conf": "p/site.conf", "prolog": "p/prolog.sh"}
    simple = specification(SHAPE)
    assert (simple["profile"], "site" in simple) == ("simple", False)
