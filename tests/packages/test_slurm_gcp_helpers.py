"""The programs of common/rcc that let scripts of older slurm-gcp run with a newer Slurm."""

from __future__ import annotations

import getpass
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.root import ROOT

LOCAL = ROOT / "common/rcc/root/usr/local"
NODES = """\
NodeName=c-0 Arch=x86_64 CoresPerSocket=1
   State=IDLE+CLOUD+POWERED_DOWN ThreadsPerCore=1 TmpDisk=0
NodeName=c-1 Arch=x86_64 CoresPerSocket=1
   State=ALLOCATED+CLOUD+NOT_RESPONDING+POWERING_UP ThreadsPerCore=1 TmpDisk=0
NodeName=c-2 Arch=x86_64 CoresPerSocket=1
   State=IDLE+CLOUD+POWERING_DOWN ThreadsPerCore=1 TmpDisk=0
NodeName=c-3 Arch=x86_64 CoresPerSocket=1
   State=IDLE+CLOUD ThreadsPerCore=1 TmpDisk=0 Comment=State=IDLE+POWERED_DOWN
"""
OLD = "if 'POWER' not in flags: pass\n"


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    (tmp_path / "nodes").write_text(NODES)
    real = tmp_path / "scontrol"
    real.write_text(f'#!/bin/sh\necho "$*" >&2\ncat {tmp_path}/nodes\nexit "${{CODE:-0}}"\n')
    real.chmod(0o755)
    return tmp_path


def states(folder: Path, *words: str, user: str = "", **more: str) -> list[str]:
    environment = {
        **os.environ,
        "SCONTROL": str(folder / "scontrol"),
        "SLURM_GCP_SCRIPTS": str(folder),
        "SLURM_GCP_USER": user or getpass.getuser(),
        **more,
    }
    program = LOCAL / "bin/scontrol"
    done = subprocess.run([program, *words], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == " ".join(words) + "\n"
    return [line.split()[0].removeprefix("State=") for line in done.stdout.splitlines() if line.startswith("   State")]


NOW = [
    "IDLE+CLOUD+POWERED_DOWN",
    "ALLOCATED+CLOUD+NOT_RESPONDING+POWERING_UP",
    "IDLE+CLOUD+POWERING_DOWN",
    "IDLE+CLOUD",
]


def test_scripts_of_slurm_20_11_see_its_states(cluster: Path) -> None:
    (cluster / "slurmsync.py").write_text(OLD)
    then = ["IDLE+CLOUD+POWER", "ALLOCATED#+CLOUD+NOT_RESPONDING", "IDLE+CLOUD+POWERING_DOWN", "IDLE+CLOUD"]
    assert states(cluster, "show", "nodes") == then


def test_all_others_see_what_slurm_says(cluster: Path) -> None:
    assert states(cluster, "show", "nodes") == NOW, "no cluster of slurm-gcp"
    (cluster / "slurmsync.py").write_text(OLD)
    assert states(cluster, "show", "nodes", user="somebody") == NOW, "people"
    assert states(cluster, "show", "node", "c-0") == NOW, "another command"
    (cluster / "slurmsync.py").write_text("if 'POWERED_DOWN' not in flags: pass\n")
    assert states(cluster, "show", "nodes") == NOW, "newer scripts"


def test_an_error_of_scontrol_is_that_of_the_command(cluster: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        states(cluster, "show", "nodes", CODE="1")


def mended(folder: Path) -> list[str]:
    subprocess.run([LOCAL / "sbin/rcc-slurm-conf", folder], check=True)
    return [file.read_text() for file in sorted(folder.glob("*.conf"))]


def test_removed_options_are_replaced_and_nothing_else(tmp_path: Path) -> None:
    assert mended(tmp_path) == [], "a machine without them"
    (tmp_path / "slurm.conf").write_text(
        "ClusterName=c\nAccountingStoreJobComment=YES\n#AccountingStoreJobComment=YES\n"
    )
    (tmp_path / "cgroup.conf").write_text("ConstrainCores=yes\nTaskAffinity=no\nConstrainDevices=yes\n")
    after = [
        "ConstrainCores=yes\nConstrainDevices=yes\n",
        "ClusterName=c\nAccountingStoreFlags=job_comment\n#AccountingStoreJobComment=YES\n",
    ]
    assert mended(tmp_path) == after
    assert mended(tmp_path) == after
