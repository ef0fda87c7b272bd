"""Every fault of a site's file is told with its line, all at once, and what the agent must set itself by name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import InputError
from bakery.settings import parse
from bakery.settings.cluster import Profile
from bakery.settings.site_files import OWNED, SitePart, faults

SUBMIT = "function slurm_job_submit(job, parts, uid) end\nslurm_job_modify = function() end\n"
LUA = ("submit", "modify")


def found(part: SitePart, text: str) -> list[tuple[int, str]]:
    return [(line, message) for line, message, _hint in faults(part, text.encode())]


def test_parts_of_slurm_conf_are_options_one_in_a_line() -> None:
    text = """\
# of the site
PriorityType=priority/multifactor   # by age
PriorityWeightAge=1000

SchedulerParameters=bf_window=600,\\
  bf_max_job_test=100
NodeName=n1 CPUs=4
  slurmctldhost = head
A=1 B=2
word
Include other.conf
prioritytype=priority/basic
"""
    assert found(SitePart.SLURM_CONF, text) == [
        (5, "has more than one option: SchedulerParameters=bf_window=600,  bf_max_job_test=100"),
        (7, "NodeName is set by the test cluster"),
        (8, "slurmctldhost is set by the test cluster"),
        (9, "has more than one option: A=1 B=2"),
        (10, "is not an option: word"),
        (11, "Include is set by the test cluster"),
        (12, "prioritytype is set in line 2 already"),
    ]


def test_a_good_part_has_no_fault() -> None:
    assert found(SitePart.SLURM_CONF, 'Epilogue="a b"\nMaxJobCount=9\nX=a,\\\nb=c\n') == []
    assert found(SitePart.JOB_SUBMIT, SUBMIT) == []
    assert found(SitePart.PROLOG, "#!/bin/sh\n") == []


@pytest.mark.parametrize("name", sorted(OWNED))
def test_what_the_agent_sets_is_refused_by_name(name: str) -> None:
    ((line, message, hint),) = faults(SitePart.SLURM_CONF, f"{name.upper()}=x\n".encode())
    assert (line, message) == (1, f"{name.upper()} is set by the test cluster")
    assert hint == OWNED[name]


@pytest.mark.parametrize(
    ("part", "text", "told"),
    [
        (SitePart.JOB_SUBMIT, "-- slurm_job_submit", [(1, f"does not define slurm_job_{one}") for one in LUA]),
        (SitePart.JOB_SUBMIT, "function slurm_job_submit() end", [(1, "does not define slurm_job_modify")]),
        (SitePart.PROLOG, "echo\n", [(1, "has no interpreter line")]),
        (SitePart.EPILOG, "#!/bin/sh\nexit\r\n", [(2, "has line ends of Windows")]),
    ],
)  # fmt: skip
def test_scripts_that_slurm_would_not_run(part: SitePart, text: str, told: list[tuple[int, str]]) -> None:
    assert found(part, text) == told


def test_text_that_is_not_utf_8() -> None:
    assert [(line, message) for line, message, _ in faults(SitePart.SLURM_CONF, b"A=1\nB=\xff\n")] == [
        (2, "is not UTF-8")
    ]


def settings(root: Path, **cluster: Any) -> Any:
    return parse({"oven": "fake", "cluster": cluster}, "dev", root).cluster


def test_the_settings_name_the_profile_and_the_files(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/slurm.conf").write_text("MaxJobCount=9\n")
    made = settings(tmp_path, profile="production", slurmConf="site/slurm.conf")
    assert made.profile is Profile.PRODUCTION
    ((part, file),) = made.site.items()
    assert (part, file.source) == ("slurm_conf", str(tmp_path / "site/slurm.conf"))
    assert file.sha256 == hashlib.sha256(b"MaxJobCount=9\n").hexdigest()
    assert settings(tmp_path).profile is Profile.SIMPLE


def test_all_faults_of_the_settings_and_their_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "slurm.conf").write_text("MaxJobCount=9\nNodeName=a\nPrologue\n")
    with pytest.raises(InputError) as failed:
        settings(tmp_path, profile="big", slurmConf="slurm.conf", prolog="gone.sh")
    assert [str(problem).partition(": error: ")[0::2] for problem in failed.value.problems] == [
        ("Pulumi.dev.yaml:1", "image-bakery:cluster.profile is 'big'; write one of simple, production"),
        (
            "Pulumi.dev.yaml:1",
            "image-bakery:cluster.prolog names gone.sh, which can't be read (No such file or directory); "
            "write the path of a file",
        ),
        ("slurm.conf:2", "NodeName is set by the test cluster; remove it: the test cluster has its own"),
        ("slurm.conf:3", "is not an option: Prologue; write Name=value"),
    ]
