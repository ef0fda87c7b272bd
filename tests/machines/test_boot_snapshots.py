"""Machines that continue from one saved boot are as different as machines that have booted, and so are their runs."""

from __future__ import annotations

import base64
import json
import tarfile
import time
from pathlib import Path

import pytest

from bakery.fluid_run.clusters.local import LocalCluster, LocalClusters
from bakery.fluid_run.clusters.local_start import NOTES
from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.recipe.model import ClusterShape, Partition, Suite, SuiteJob
from bakery.settings import Settings, parse
from tests.support.clusters import CONTROLLER_ALONE, followed
from tests.support.every import every

pytestmark = pytest.mark.machines

NODES = 3
JOB = SuiteJob("a", "look.sh", "out/look", batch_options=f"--nodes={NODES} --ntasks-per-node=1", time_limit=300)
# A line of each node: its name, its time, the controller's (that of a file in the shared home), and what must be
# different on every machine of every run.
LOOK = """#!/bin/bash
srun bash -c '
clock=$WORKSPACE/$SLURMD_NODENAME
date +%s.%N >$clock
ssh-keygen -q -t ed25519 -N "" -f /tmp/key
echo $SLURMD_NODENAME $(cat $clock; stat -c %.Y $clock) \\
    $(head -c 24 /dev/urandom | base64) $(cut -d" " -f2 /tmp/key.pub) \\
    $(cat /etc/machine-id) $(cat /proc/sys/kernel/random/boot_id /proc/sys/kernel/random/uuid) \\
    $(cat /sys/class/net/e*/address) $(hostname)'
"""
SKEW_SECONDS = 3.0  # of the clocks of emulated machines on a busy computer


def cluster(settings: Settings, image: Path, run_id: str, shape: ClusterShape) -> LocalCluster:
    record = ImageRecord("rcc-debian", "d" * 64, "rcc-debian", "", "rcc-debian", "", location=str(image))
    workspace = settings.root / f"workspace-{run_id}"
    workspace.mkdir()
    (workspace / "look.sh").write_text(LOOK)
    (workspace / "look.sh").chmod(0o755)
    order = RunOrder("rcc-debian", "d" * 64, "app", "", Suite((JOB,), shape), (), "abc", "gcc", "x86_64")
    return LocalClusters(settings).cluster(run_id, record, order, workspace)


def run(settings: Settings, image: Path, run_id: str) -> tuple[list[list[str]], bytes]:
    """Return the words of each node, and the key of the cluster."""
    made = cluster(settings, image, run_id, ClusterShape((Partition("debug", nodes=NODES),), login_nodes=0))
    results = settings.root / f"results-{run_id}"
    try:
        made.provision(Activity())
        with tarfile.open(made.folder / "seed.tar") as seed:
            spec = seed.extractfile("run_spec.json")
            assert spec is not None
            key = base64.b64decode(json.load(spec)["munge_key"])
        assert followed(made)[-1].error == ""
        made.collect(results)
    finally:
        made.tear_down()
    assert not (results / NOTES).exists(), (results / NOTES).read_text()
    return [line.split() for line in (results / "outputs/out/look/stdout").read_text().splitlines()], key


def test_machines_of_one_boot_have_nothing_in_common_that_a_boot_would_make_different(
    rcc_debian: Path, tmp_path: Path
) -> None:
    settings = parse({"oven": "local", "local": {"accelerator": "tcg"}}, "test", tmp_path)
    first, key = run(settings, rcc_debian, "run-1")
    (saved,) = StatePaths(settings.state).snapshots.glob("*/machine.state")
    state, taken = saved.read_bytes(), saved.stat().st_mtime
    assert key not in state and base64.b64encode(key)[:64] not in state, "it was taken before the run was known"
    began = time.time()
    second, _ = run(settings, rcc_debian, "run-2")
    assert began - taken > SKEW_SECONDS, "a clock that was not set would be wrong by this"
    assert saved.stat().st_mtime == taken, "no machine of the second run has booted"
    for lines in (first, second):
        assert (
            [words[0] for words in sorted(lines)]
            == [words[-1] for words in sorted(lines)]
            == [f"debug-{number}" for number in range(NODES)]
        )
        assert every(abs(float(words[1]) - float(words[2])) < SKEW_SECONDS for words in lines)
    assert every(began - SKEW_SECONDS < float(words[1]) < time.time() + SKEW_SECONDS for words in second)
    columns = list(zip(*(words[3:-1] for words in (*first, *second)), strict=True))
    assert len(columns) == 6
    assert every(len(set(column)) == 2 * NODES for column in columns), columns
    a_damaged_snapshot_is_not_used_again(settings, rcc_debian, saved)


def a_damaged_snapshot_is_not_used_again(settings: Settings, image: Path, saved: Path) -> None:
    """The machine boots instead, and the run says why."""
    saved.write_bytes(saved.read_bytes()[:1000])
    made = cluster(settings, image, "run-3", CONTROLLER_ALONE)
    said: list[str] = []
    try:
        made.provision(Activity(said.append))
        assert set(made.machines.running) == {"controller"}
        made.collect(settings.root / "results")
    finally:
        made.tear_down()
    (note,) = (settings.root / "results" / NOTES).read_text().splitlines()
    assert note.startswith("controller boots: its boot snapshot can't be used: ") and f"testing: {note}" in said
    assert not saved.exists()
