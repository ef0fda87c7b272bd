#!/usr/bin/env python3
"""Checks that an image has what the scripts of slurm-gcp expect of it: ``slurm_gcp.py TABLE VERSION``.

A job of the rcc images: the scripts configure a machine when it boots for the first time, so what the image lacks is
seen only when a cluster does not come up. The table says where each need was read. Its kinds:

=========  ===========================================================================================================
command    a program that root's PATH has
path       a file
folder     a folder, and no link: it is mounted over, or replaced
link       a link, and what it leads to
user       a user
off        a unit of systemd that is there and not enabled
on         a unit that is enabled
made       a folder that systemd-tmpfiles makes at boot
plugin     a plugin of Slurm
version    a program and its lowest version
python     an interpreter and its lowest version
module     an interpreter and a module that it imports
google     a program or a unit of Google's base images, looked for on Compute Engine only
=========  ===========================================================================================================

In a name, "or" separates alternatives. Only the standard library, and Python 3.9, are needed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")
UNITS = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
TMPFILES = ("etc/tmpfiles.d", "usr/lib/tmpfiles.d", "lib/tmpfiles.d")
PLUGINS = ("usr/lib/*/slurm*", "usr/lib64/slurm", "usr/local/lib/slurm")
PRODUCT = "sys/class/dmi/id/product_name"
IMPORT = """\
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        print(name, f"{type(error).__name__}: {error}".splitlines()[0], sep="\\t")
"""


@dataclass(frozen=True)
class Need:
    """One row of the table."""

    version: str
    machines: str
    kind: str
    name: str
    purpose: str
    source: str

    def __str__(self) -> str:
        return f"{self.machines}: {self.kind} {self.name} ({self.purpose}; {self.source})"


def read(table: Path) -> list[Need]:
    """Return the rows of the table. Raises ValueError for a row without six columns."""
    needs = []
    for number, line in enumerate(table.read_text(encoding="utf-8").splitlines(), 1):
        columns = line.split("\t")
        if line.startswith("#"):
            continue
        if len(columns) != 6 or not all(columns) or columns[2] not in KINDS:
            raise ValueError(f"{table}:{number}: not a row of six columns with a known kind; correct it")
        needs.append(Need(*columns))
    return needs


@dataclass(frozen=True)
class Image:
    """An image, or a machine that booted from it, whose files are below ``root``."""

    root: Path = Path("/")

    def at(self, path: str) -> Path:
        """Return the place of an absolute path of the image."""
        return self.root / path.lstrip("/")

    def program(self, name: str) -> Path | None:
        """Return a program by its path, or by its name as root's PATH finds it; None if there is none."""
        files = [self.at(name)] if "/" in name else [self.root / folder / name for folder in PROGRAMS]
        return next((file for file in files if os.access(file, os.X_OK)), None)

    def ask(self, program: str, *words: str) -> str:
        """Return what a program prints; empty if it is missing or fails."""
        file = self.program(program)
        if file is None:
            return ""
        done = subprocess.run([file, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)
        return "" if done.returncode else done.stdout

    def has_unit(self, name: str) -> bool:
        """Return whether systemd knows the unit."""
        return any(os.path.lexists(self.root / folder / name) for folder in UNITS)

    def enabled(self, name: str) -> bool:
        """Return whether the unit starts at boot by itself: another unit wants or requires it."""
        system = self.root / UNITS[0]
        return any(
            os.path.lexists(folder / name) for kind in ("wants", "requires") for folder in system.glob(f"*.{kind}")
        )

    def importing(self, python: str, modules: Sequence[str]) -> Mapping[str, str]:
        """Map the modules that an interpreter can't import to the reason."""
        file = self.program(python)
        if file is None:
            return dict.fromkeys(modules, f"there is no {python}")
        done = subprocess.run([file, "-c", IMPORT, *modules], stdout=subprocess.PIPE, check=True, text=True)
        return dict(line.split("\t", 1) for line in done.stdout.splitlines())


def has_command(image: Image, name: str) -> bool:
    """A program."""
    return image.program(name) is not None


def has_path(image: Image, name: str) -> bool:
    """A file."""
    return image.at(name).exists()


def has_folder(image: Image, name: str) -> bool:
    """A folder that is no link, unless the whole folder above it is one."""
    return image.at(name).is_dir() and not image.at(name).is_symlink()


def has_link(image: Image, name: str) -> bool:
    """A link to that place."""
    link, target = name.split()
    return image.at(link).is_symlink() and str(image.at(link).readlink()) == target


def has_user(image: Image, name: str) -> bool:
    """A user of the image itself."""
    lines = image.at("/etc/passwd").read_text(encoding="utf-8").splitlines()
    return any(line.startswith(f"{name}:") for line in lines)


def is_off(image: Image, name: str) -> bool:
    """A unit that only starts if it is told to."""
    return image.has_unit(name) and not image.enabled(name)


def is_on(image: Image, name: str) -> bool:
    """A unit that starts at boot."""
    return image.has_unit(name) and image.enabled(name)


def is_made(image: Image, name: str) -> bool:
    """A folder of tmpfiles.d(5)."""
    files = [file for folder in TMPFILES for file in (image.root / folder).glob("*.conf")]
    lines = [line.split() for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return any(words[:1] in (["d"], ["D"]) and name in words[1:2] for words in lines)


def has_plugin(image: Image, name: str) -> bool:
    """A plugin in one of the folders where Slurm's packages have them."""
    return any(True for folder in PLUGINS for _ in image.root.glob(f"{folder}/{name}.so"))


def has_version(image: Image, name: str) -> bool:
    """A version that is not lower. Slurm's programs have the version of slurmd."""
    program, lowest = name.split()
    return numbers(image.ask("slurmd" if program == "slurm" else program, "-V")) >= numbers(lowest)


def has_python(image: Image, name: str) -> bool:
    """An interpreter that is not older."""
    return has_version(image, name)


def is_of_google(image: Image, name: str) -> bool:
    """A program or a unit; taken for granted anywhere but on Compute Engine."""
    product = image.at(PRODUCT)
    if not product.is_file() or "Google" not in product.read_text(encoding="utf-8"):
        return True
    return image.has_unit(name) if name.endswith(".service") else has_command(image, name)


def numbers(text: str) -> tuple[int, ...]:
    """Return the first version number of a text; empty if it has none."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


CHECKS: Mapping[str, Callable[[Image, str], bool]] = {
    "command": has_command,
    "path": has_path,
    "folder": has_folder,
    "link": has_link,
    "user": has_user,
    "off": is_off,
    "on": is_on,
    "made": is_made,
    "plugin": has_plugin,
    "version": has_version,
    "python": has_python,
    "google": is_of_google,
}
KINDS = (*CHECKS, "module")


def unmet(image: Image, needs: Iterable[Need]) -> Iterator[str]:
    """Yield the needs that the image does not meet, as one line each."""
    modules: dict[str, list[Need]] = {}
    for need in needs:
        if need.kind == "module":
            modules.setdefault(need.name.split()[0], []).append(need)
        elif not any(CHECKS[need.kind](image, name) for name in need.name.split(" or ")):
            yield str(need)
    for python, imported in modules.items():
        reasons = image.importing(python, [need.name.split()[1] for need in imported])
        for need in imported:
            if reason := reasons.get(need.name.split()[1]):
                yield f"{need}: {reason}"


def in_workspace(name: str) -> Path:
    """Return a file of the workspace, which the folder of a job's output is in. Raises FileNotFoundError."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"there is no {name} in or above {Path.cwd()}")


def main(table: str, version: str, image: Image) -> int:
    """Print what the image lacks; 1 if it lacks something."""
    needs = [need for need in read(in_workspace(table)) if need.version == version]
    missing = list(unmet(image, needs))
    for line in missing:
        print(f"slurm-gcp {version} misses on {line}", file=sys.stderr)
    print(f"needs of slurm-gcp {version}: {len(needs)}, missing: {len(missing)}")
    return 1 if missing or not needs else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:], image=Image()))
