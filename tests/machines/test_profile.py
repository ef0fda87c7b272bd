"""A two-node job of rcc-debian on a cluster like those of sites, with machines that boot and that continue."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.errors import ImageRejected
from bakery.fluid_run import runner
from bakery.fluid_run.clusters.compute_engine import ComputeEngineClusters
from bakery.host.google import Google
from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.recipe.model import ClusterShape, Partition, SourceFile, Suite, SuiteJob
from bakery.results.model import RunResult, Verdict
from bakery.settings import parse
from bakery.settings.cluster import Profile
from tests.fake_google.server import FakeServer
from tests.machines import test_upgrade

pytestmark = [pytest.mark.machines, pytest.mark.slow]

JOB = """\
#!/bin/bash
set -euo pipefail
echo "comment: $(scontrol --oneliner show job "$SLURM_JOB_ID" | grep -o 'Comment=[^ ]*')"
echo "step: $(srun --nodes=1 --ntasks=1 cat /proc/self/cgroup)"
group=$(srun --nodes=1 --ntasks=1 sh -c 'cut -d: -f3 /proc/self/cgroup')
echo "limit: $(cat "/sys/fs/cgroup${group%%/step_*}/memory.max")"
echo "seen: $(srun sh -c 'echo $(hostname)=$(cat /apps/site.txt)' | sort | paste -sd ' ')"
echo "homes: $(srun stat --file-system --format=%T /home | sort -u | paste -sd ' ')"
srun sh -c 'echo "prolog of $(hostname): $(cat /tmp/prolog-$SLURM_JOB_ID)"' | sort
scontrol show config | grep -E '^(PriorityType|ProctrackType|TaskPlugin|JobSubmitPlugins) '
for _ in $(seq 60); do
  sacct -n -P -j "$SLURM_JOB_ID" -o JobID,State,NNodes | grep -q batch && break
  sleep 1
done
sacct -n -P -j "$SLURM_JOB_ID" -o JobID,State,NNodes | sed 's/^/sacct: /'
"""
# The second job runs where the first one's epilog ran.
LATER = """\
#!/bin/bash
srun sh -c 'echo "epilog of $(hostname): $(cat /tmp/epilog-*)"' | sort
"""
SITE = {
    "slurm_conf": "PriorityType=priority/multifactor\nMaxJobCount=5000\n",
    "job_submit": (
        'function slurm_job_submit(job, parts, uid) job.comment = "from-lua" return slurm.SUCCESS end\n'
        "function slurm_job_modify(job, change, parts, uid) return slurm.SUCCESS end\n"
    ),
    # The controller's /apps, which the nodes mount, gets a file from a node: as root, so by the prolog.
    "prolog": "#!/bin/sh\necho from the site >/apps/site.txt\necho before >/tmp/prolog-$SLURM_JOB_ID\n",
    "epilog": "#!/bin/sh\necho after >/tmp/epilog-$SLURM_JOB_ID\n",
}


def order(folder: Path, site: dict[str, str]) -> RunOrder:
    files = []
    for name, text in {"job.sh": JOB, "later.sh": LATER, **site}.items():
        file = folder / name
        file.write_text(text)
        mode = 0o755 if name.endswith(".sh") else 0o644
        files.append(SourceFile(name, mode, hashlib.sha256(file.read_bytes()).hexdigest(), file))
    jobs = (
        SuiteJob("a", "job.sh", "out/job", batch_options="--nodes=2 --ntasks-per-node=1", time_limit=300),
        SuiteJob("a", "later.sh", "out/later", batch_options="--nodes=2 --ntasks-per-node=1", time_limit=300),
    )
    shape = ClusterShape((Partition("debug"),), 0, profile=Profile.PRODUCTION, **dict(zip(site, site, strict=True)))
    return RunOrder("rcc-1", "d" * 64, "app", "", Suite(jobs, shape), tuple(files), "abc", "gcc", "x86_64")


def run(image: Path, folder: Path, site: dict[str, str], snapshots: int) -> RunResult:
    settings = parse({"oven": "local", "local": {"bootSnapshots": {"budgetGb": snapshots}}}, "test", folder)
    told: list[RunResult] = []
    record = ImageRecord("rcc-1", "d" * 64, "app", "", "app", "2026-01-01T00:00:00Z", location=str(image))
    clusters, state = backend(settings).clusters(), StatePaths(settings.state)
    try:
        runner.run_image(order(folder, site), record, clusters, state, Activity(), record=told.append)
    except ImageRejected as error:
        print(error.render())
    (result,) = told
    return result


@pytest.mark.parametrize("snapshots", [0, 4], ids=["boot", "continue"])
def test_a_job_of_two_nodes_on_a_cluster_like_those_of_sites(snapshots: int, rcc_debian: Path, tmp_path: Path) -> None:
    result = run(rcc_debian, tmp_path, SITE, snapshots)
    assert isinstance(result.folder, Path)
    print(result.timings)
    said = (result.folder / "outputs/out/job/stdout").read_text()
    print(said)
    assert [job.passed for job in result.jobs] == [True, True], [job.reason for job in result.jobs]
    assert [job.row["cluster_profile"] for job in result.jobs] == ["production"] * 2
    number = json.loads((result.folder / "agent-results.json").read_text())["jobs"][0]["job_id"]
    assert "comment: Comment=from-lua\n" in said
    assert re.search(rf"^step: 0::/.*/job_{number}/step_0/", said, re.MULTILINE)
    limit = re.search(r"^limit: (\d+)$", said, re.MULTILINE)
    assert limit and int(limit[1]) <= 768 << 20, "the job has the memory of its processor, and no more than there is"
    assert "seen: debug-0=from the site debug-1=from the site\n" in said
    assert "homes: nfs\n" in said
    assert "prolog of debug-0: before\nprolog of debug-1: before\n" in said
    for option, value in (
        ("PriorityType", "priority/multifactor"),
        ("ProctrackType", "proctrack/cgroup"),
        ("TaskPlugin", "task/affinity,task/cgroup"),
        ("JobSubmitPlugins", "lua"),
    ):
        assert re.search(rf"^{option} += {value}$", said, re.MULTILINE), option
    assert f"sacct: {number}|RUNNING|2\n" in said
    later = (result.folder / "outputs/out/later/stdout").read_text()
    assert later == "epilog of debug-0: after\nepilog of debug-1: after\n"
    for node in ("debug-0", "debug-1-before"):  # debug-1 is a new machine by now
        assert f"job {number} of fluidrun" in (result.folder / f"machines/{node}/logs/prolog.log").read_text()
    log = (result.folder / "machines/controller/logs/agent.log").read_text()
    assert "the accounting has all jobs" in log
    assert "debug-1 was suspended and resumed" in log
    assert "suspended" in (result.folder / "machines/debug-1-before/logs/agent.log").read_text()


@pytest.mark.parametrize(
    ("site", "why"),
    [
        ({"prolog": "#!/bin/sh\nexit 1\n"}, "could not start job 1: its prolog failed"),
        ({"slurm_conf": "PriorityKind=priority/multifactor\n"}, "PriorityKind"),
    ],
    ids=["prolog", "option"],
)
def test_a_file_of_the_site_that_does_not_work_fails_the_run_at_once(
    site: dict[str, str], why: str, rcc_debian: Path, tmp_path: Path
) -> None:
    result = run(rcc_debian, tmp_path, site, 4)
    assert (result.verdict, why in result.reason) == (Verdict.FAILED, True), result.reason
    assert sum(result.timings.values()) < 600, "it does not wait for the deadline of the run"


server = test_upgrade.server  # the fixture: a project whose instances are machines of this computer
ON_NODES = "#!/bin/bash\nsrun sh -c 'cat /proc/self/cgroup; ls /tmp/prolog-*'\n"


@pytest.fixture
def candidate(rcc_debian: Path) -> Path:
    """The image of both names in the fake project."""
    return rcc_debian


def test_a_node_on_compute_engine_is_resumed_as_a_new_instance(server: FakeServer, tmp_path: Path) -> None:
    google = {"project": "p", "region": "us-central1", "endpoint": server.url}
    settings = parse({"oven": "cloud-build", "google": google}, "gcp", tmp_path / "stack")
    asked = order(tmp_path, {"prolog": "#!/bin/sh\ntouch /tmp/prolog-$SLURM_JOB_ID\n"})
    first = asked.suite.jobs[0]
    asked = replace(asked, image="new-1", suite=replace(asked.suite, jobs=(first,)))
    (tmp_path / "job.sh").write_text(ON_NODES)
    digest = hashlib.sha256(ON_NODES.encode()).hexdigest()
    files = tuple(replace(one, sha256=digest) if one.path == "job.sh" else one for one in asked.files)
    record = ImageRecord("new-1", "d" * 64, "app", "", "app", "2026-01-01T00:00:00Z")
    clusters = ComputeEngineClusters(settings, Google(settings.google))
    told: list[RunResult] = []
    state = StatePaths(settings.state)
    runner.run_image(replace(asked, files=files), record, clusters, state, Activity(), record=told.append)
    (result,) = told
    said = str(result.jobs[0].row["stdout"])
    assert (result.verdict, said.count("/job_1/step_0/"), said.count("/tmp/prolog-1")) == (Verdict.PASSED, 2, 2)
    made = [path for _at, method, path in server.cloud.calls if method == "compute.instances.insert"]
    assert len(made) == 3 + 1, "controller, two nodes, and one of them again"
    assert not [key for key in server.cloud.items if "/instances/" in key]
