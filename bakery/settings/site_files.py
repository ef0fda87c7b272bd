"""The files of a site that configure the test cluster: parts of ``slurm.conf``, a job submit script, prolog and epilog.

The options of ``slurm.conf`` are those of slurm.conf(5) of Slurm 22.05 to 24.11. What the agent of a Fluid-Run must set
itself is refused by name, since the cluster would not come up with another value.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple, TypeVar

Value = TypeVar("Value")
Fault = tuple[int, str, str]  # line, what is wrong, what to do

_OPTION = re.compile(r"([A-Za-z_.]+)\s*=\s*(\"[^\"]*\"|\S+)")
_OWN = "remove it: the test cluster has its own"
_OWNED = {
    **dict.fromkeys(("ClusterName", "SlurmctldHost", "SlurmctldAddr", "SlurmctldPort", "SlurmdPort"), _OWN),
    **dict.fromkeys(("ControlMachine", "ControlAddr", "BackupController", "BackupAddr"), _OWN),
    **dict.fromkeys(("NodeName", "NodeSet", "DownNodes", "FrontendName", "PartitionName"), _OWN),
    **dict.fromkeys(("SlurmUser", "SlurmdUser", "StateSaveLocation", "SlurmdSpoolDir"), _OWN),
    **dict.fromkeys(("SlurmctldPidFile", "SlurmdPidFile", "SlurmctldLogFile", "SlurmdLogFile"), _OWN),
    **dict.fromkeys(("AuthType", "AuthInfo", "CredType", "CryptoType", "SlurmdParameters"), _OWN),
    **dict.fromkeys(("AccountingStorageType", "AccountingStorageHost", "AccountingStoragePort"), _OWN),
    **dict.fromkeys(("AccountingStorageBackupHost", "AccountingStoragePass", "AccountingStorageUser"), _OWN),
    **dict.fromkeys(("SuspendProgram", "SuspendTime", "SuspendTimeout", "ResumeProgram", "ResumeTimeout"), _OWN),
    "Include": "remove it, and write the options of that file here: the machines do not have it",
    "Prolog": "name the script as the cluster's prolog",
    "Epilog": "name the script as the cluster's epilog",
    "JobSubmitPlugins": "name the script as the cluster's job_submit: the plugin is lua",
}
OWNED = {name.lower(): hint for name, hint in _OWNED.items()}  # Slurm takes names in any case
_NEEDED = ("slurm_job_submit", "slurm_job_modify")  # without one of them the plugin does not load


class SitePart(StrEnum):
    """What a site may bring, by its name in ``recipe.yaml``."""

    SLURM_CONF = "slurm_conf"
    JOB_SUBMIT = "job_submit"
    PROLOG = "prolog"
    EPILOG = "epilog"


class SiteFile(NamedTuple):
    """A file of the site: its path on this computer, and the SHA-256 of its content in hex."""

    source: str
    sha256: str


def present(*values: Value | None) -> dict[SitePart, Value]:
    """Return the values that there are, given in the order of :class:`SitePart`, by what they are for."""
    return {part: value for part, value in zip(SitePart, values, strict=True) if value}


def faults(part: SitePart, content: bytes) -> Iterator[Fault]:
    """Yield all that is wrong with a file of the site."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        yield content[: error.start].count(b"\n") + 1, "is not UTF-8", "save it as UTF-8"
        return
    if "\r" in text:
        yield text[: text.index("\r")].count("\n") + 1, "has line ends of Windows", "save it with line ends of Unix"
    elif part is SitePart.SLURM_CONF:
        yield from _conf_faults(text)
    elif part is SitePart.JOB_SUBMIT:
        for name in _NEEDED:
            if not re.search(rf"^[^-\n]*\b{name}\b", text, re.MULTILINE):
                yield 1, f"does not define {name}", f"add the function {name}, which Slurm needs"
    elif not text.startswith("#!"):
        yield 1, "has no interpreter line", "begin it with #!/bin/bash"


def _conf_faults(text: str) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for number, line in _lines(text):
        option = _OPTION.match(line)
        name = option[1] if option else line.split()[0]
        if hint := OWNED.get(name.lower()):
            yield number, f"{name} is set by the test cluster", hint
        elif option is None:
            yield number, f"is not an option: {line[:60]}", "write Name=value"
        elif option.end() < len(line):
            yield number, f"has more than one option: {line[:60]}", "write each in a line of its own"
        elif name.lower() in seen:
            yield number, f"{name} is set in line {seen[name.lower()]} already", "keep one of them"
        seen.setdefault(name.lower(), number)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines with an option, without comments; a ``\\`` at the end continues a line, see slurm.conf(5)."""
    held, began = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(?<!\\)#.*", "", raw).rstrip()
        began = began if held else number
        held += line.removesuffix("\\")
        if line.endswith("\\"):
            continue
        if held.strip():
            yield began, held.strip()
        held = ""
    if held.strip():
        yield began, held.strip()
