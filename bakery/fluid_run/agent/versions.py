"""The versions of the software on this machine that the machines of a cluster have to agree about."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from .slurm_conf import PLUGINS
from .system import PROGRAMS

ABSENT = "none"  # known to be missing
SECONDS = 60  # for a program that hangs
NUMBER = r"(\d+(?:\.\d+)+)"
# What is asked for its version, with what it prints before it; the first one that answers counts.
QUESTIONS = (
    ("slurm", ("slurmd", "-V"), r"slurm\S* "),
    ("slurm", ("slurmctld", "-V"), r"slurm\S* "),
    ("munge", ("munged", "--version"), "munge-"),
    ("open_mpi", ("mpirun", "--version"), r"Open MPI\D+"),  # of another MPI it prints another name
    ("open_mpi", ("ompi_info", "--version"), r"Open MPI\D+"),
    ("lustre", ("lfs", "--version"), "lfs v?"),
    ("lustre", ("lctl", "--version"), "lctl v?"),
)
PLACES = f"{PROGRAMS}:/usr/lib64/openmpi/bin"
# PMIx has no program on every system, and its library can be asked before it is initialised.
ASK_PMIX = (
    "import ctypes; ask = ctypes.CDLL('libpmix.so.2').PMIx_Get_version; "
    "ask.restype = ctypes.c_char_p; print(ask().decode())"
)


class VersionReader(threading.Thread):
    """Reads the versions while the cluster starts, unless they are known; ``found`` is complete after ``join``."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        super().__init__(daemon=True)
        self.found = dict(known or {})

    def run(self) -> None:
        """Read them."""
        self.found = self.found or software_versions()


def software_versions() -> dict[str, str]:
    """Return the versions by name; what is not found is left out."""
    found = {"kernel": os.uname().release, "os": system_name(), "pmix": pmix_version(plugin_names())}
    for name, words, before in QUESTIONS:
        if not found.get(name):
            found[name] = number_in(output(words), before)
    return {name: version for name, version in found.items() if version}


def number_in(text: str, before: str = "") -> str:
    """Return the first version number after ``before``, a pattern; "" if there is none."""
    match = re.search(before + NUMBER, text)
    return match[1] if match else ""


def output(words: Sequence[str]) -> str:
    """Return what a program of the image prints; "" if it is missing or fails."""
    program = shutil.which(words[0], path=PLACES)
    if program is None:
        return ""
    try:
        done = subprocess.run(
            (program, *words[1:]), capture_output=True, check=True, text=True, errors="replace", timeout=SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout + done.stderr


def system_name(file: Path = Path("/etc/os-release")) -> str:
    """Return distribution and release, as ``debian-12``, see os-release(5); "" if the file is missing."""
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    fields = dict(re.findall(r"^(ID|VERSION_ID)=[\"']?([^\"'\n]*)", text, re.MULTILINE))
    return "-".join(filter(None, (fields.get("ID"), fields.get("VERSION_ID"))))


def plugin_names(root: Path = Path("/")) -> Iterator[str]:
    """Yield the names of Slurm's plugins; none if their folder is not known."""
    for pattern in PLUGINS:
        for file in root.glob(f"{pattern}/*.so"):
            yield file.name


def pmix_version(plugins: Iterable[str], library: str | None = None) -> str:
    """Return the version of PMIx with which Slurm starts ranks; only the first number if the library does not tell.

    ABSENT if Slurm has plugins and none for PMIx, "" if it is not known. ``library`` is what PMIx prints.
    """
    names = set(plugins)
    usable = [int(match[1]) for name in names if (match := re.fullmatch(r"mpi_pmix_v(\d+)\.so", name))]
    if not usable and "mpi_pmix.so" not in names:
        return ABSENT if names else ""
    if library is None:
        library = output((sys.executable, "-E", "-s", "-c", ASK_PMIX))
    number = number_in(library)
    if usable and int(number.partition(".")[0] or 0) not in usable:
        return str(max(usable))
    return number
