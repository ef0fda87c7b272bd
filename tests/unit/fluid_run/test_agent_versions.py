"""How the agent finds the versions of the software on its machine; the texts are what the programs print."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bakery.fluid_run.agent import versions

# In the forms of Debian, of Slurm, munge, Open MPI, MPICH, Intel MPI and Lustre as their projects build them.
PRINTED = [
    ("slurmd", "slurm-wlm 22.05.8\n", "22.05.8"),
    ("slurmctld", "slurm 23.11.10\n", "23.11.10"),
    ("munged", "munge-0.5.15 (2022-06-22)\n", "0.5.15"),
    ("ompi_info", "Open MPI v4.1.4\n\nhttps://www.open-mpi.org/community/help/\n", "4.1.4"),
    ("mpirun", "mpirun (Open MPI) 4.1.4\n\nReport bugs to http://www.open-mpi.org/community/help/\n", "4.1.4"),
    ("mpirun", "HYDRA build details:\n    Version:                                 4.0.2\n", ""),
    ("mpirun", "Intel(R) MPI Library for Linux* OS, Version 2021.9 Build 20230307\n", ""),
    ("lfs", "lfs 2.15.5\n", "2.15.5"),
    ("lctl", "lctl 2.12.9\n", "2.12.9"),
    ("lctl", "", ""),
]


@pytest.mark.parametrize(("program", "printed", "version"), PRINTED)
def test_a_version_is_read_from_what_a_program_prints(program: str, printed: str, version: str) -> None:
    (before,) = {pattern for _, words, pattern in versions.QUESTIONS if words[0] == program}
    assert versions.number_in(printed, before) == version


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_all_versions_of_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "PLACES", str(tmp_path))
    monkeypatch.setattr(versions, "plugin_names", lambda: iter(("mpi_pmi2.so",)))
    monkeypatch.setattr(versions, "system_name", lambda: "debian-12")
    program(tmp_path, "slurmd", "exit 1")  # an image of a controller may have none, or one that does not start
    program(tmp_path, "slurmctld", "echo slurm 23.11.10")
    program(tmp_path, "munged", "echo 'munge-0.5.15 (2022-06-22)' >&2")
    program(tmp_path, "mpirun", "echo 'mpirun (Open MPI) 4.1.4'")
    reader = versions.VersionReader()
    reader.start()
    reader.join()
    assert reader.found == {
        "kernel": os.uname().release,
        "os": "debian-12",
        "pmix": "none",
        "slurm": "23.11.10",
        "munge": "0.5.15",
        "open_mpi": "4.1.4",
    }


def test_a_program_that_hangs_has_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "PLACES", str(tmp_path))
    monkeypatch.setattr(versions, "SECONDS", 0.1)
    program(tmp_path, "lfs", "exec sleep 30")
    assert versions.output(("lfs", "--version")) == ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n', "debian-12"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n', "rocky-9.4"),
        ("ID=arch\n", "arch"),
        ("", ""),
    ],
)
def test_the_system_is_named_by_its_distribution_and_release(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "os-release").write_text(text)
    assert versions.system_name(tmp_path / "os-release") == name
    assert versions.system_name(tmp_path / "missing") == ""


@pytest.mark.parametrize(
    ("plugins", "library", "version"),
    [
        ({"auth_munge.so", "mpi_pmix.so", "mpi_pmix_v4.so"}, "OpenPMIx 4.2.2, repo rev: gitb4e3cf3\n", "4.2.2"),
        ({"mpi_pmix.so", "mpi_pmix_v3.so", "mpi_pmix_v4.so"}, "", "4"),
        ({"mpi_pmix_v3.so"}, "OpenPMIx 5.0.1\n", "3"),  # another library than the plugin's
        ({"mpi_pmix.so"}, "3.2.3\n", "3.2.3"),
        ({"mpi_pmix.so"}, "", ""),
        ({"auth_munge.so", "mpi_pmi2.so"}, "OpenPMIx 4.2.2\n", "none"),
        (set(), "OpenPMIx 4.2.2\n", ""),  # Slurm is in a folder that is not known
    ],
)
def test_pmix_is_that_of_slurms_plugin(plugins: set[str], library: str, version: str) -> None:
    assert versions.pmix_version(plugins, library) == version


def test_plugins_are_found_where_distributions_have_them(tmp_path: Path) -> None:
    for place in ("usr/lib/x86_64-linux-gnu/slurm-wlm", "usr/lib64/slurm"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "usr/lib/x86_64-linux-gnu/slurm-wlm/mpi_pmix_v4.so").touch()
    (tmp_path / "usr/lib64/slurm/auth_munge.so").touch()
    assert sorted(versions.plugin_names(tmp_path)) == ["auth_munge.so", "mpi_pmix_v4.so"]
