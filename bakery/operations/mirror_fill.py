"""Fills a folder with what a stack fetches, for a web server behind a firewall. ``bakery mirror fill``.

Each file is at ``<host>/<path>`` of its publisher, so that the setting ``mirrors`` can name its folders; packages of
Python are at ``pypi/<name>/``, whose listing by the web server is a simple index (PEP 503). Files appear when they are
complete and verified, and the next call fetches what is missing.
"""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bakery.backends.base import Backend
from bakery.errors import BakeryError, InfrastructureFailed, Interrupted, Problem, from_os_error
from bakery.host import process
from bakery.host.download import checksum_of, download, read_text
from bakery.host.files import write_atomic
from bakery.lock import checksums
from bakery.operations.mirror import addresses
from bakery.ovens.local import packer_plugin
from bakery.plan.address import Address, FetchKind
from bakery.progress.activity import Activity
from bakery.settings.network import GITHUB

PIP_SECONDS = 3600.0
# What has no single file to fetch, and what to do.
LEFT = {
    FetchKind.APT: "mirror the archive with debmirror or aptly, or use a caching proxy",
    FetchKind.CONTAINER: "copy each with: skopeo copy --all docker://IMAGE docker://MIRROR",
    FetchKind.RECIPE: "recipes fetch them themselves: allow them in the proxy, or change the recipe",
    FetchKind.SPACK: "run: spack mirror create, and clone its repositories",
}


@dataclass(frozen=True)
class Filled:
    """The files that are in the folder now, what was left with the reason, and what failed."""

    files: tuple[str, ...]
    left: tuple[str, ...]
    problems: tuple[Problem, ...]


def fill(backend: Backend, folder: Path, activity: Activity) -> Filled:
    """Fetch from the publishers what can be fetched; one failure does not stop the others.

    Raises Interrupted, and the errors of :func:`bakery.operations.mirror.addresses`.
    """
    found = addresses(backend)
    # The bakery has set the index that the folder may be made for.
    environment = {"PIP_INDEX_URL": ""} if backend.settings.network.mirrors.pypi else {}
    files: list[str] = []
    problems: list[Problem] = []
    for one in (one for one in found if one.kind not in LEFT):
        try:
            files += (
                _package(one, folder, activity, environment)
                if one.kind is FetchKind.PYPI
                else _fetched(one, folder, activity)
            )
        except Interrupted:
            raise
        except BakeryError as error:
            problems.append(Problem(one.url, 1, error.message, error.hint))
    return Filled(tuple(files), tuple(_left(found)), tuple(problems))


def _left(found: Sequence[Address]) -> Iterator[str]:
    for kind, hint in LEFT.items():
        if count := sum(one.kind is kind for one in found):
            yield f"{kind}: {count} not fetched; {hint}"


def _fetched(one: Address, folder: Path, activity: Activity) -> list[str]:
    """Fetch an address, and return the paths of its files in the folder."""
    target = _place(one.url, folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise from_os_error(error) from error
    if one.kind is FetchKind.PACKER_PLUGIN:
        if not one.url.endswith("_SHA256SUMS"):
            hint = "name a version in the template"
            raise InfrastructureFailed(f"{one.version or 'any version'} is not one version of a plugin", hint=hint)
        archive = packer_plugin.archive(one.url, target.parent, "amd64", activity)
        write_atomic(target, read_text(one.url).encode())
        return [str(file.relative_to(folder)) for file in (target, archive)]
    checksum = _checksum(one, target.name)
    if checksum or not target.exists():
        download(one.url, target, checksum, activity)
    return [str(target.relative_to(folder))]


def _checksum(one: Address, file: str) -> str:
    """Return the checksum of an address; that of the Pulumi engine is in its release, and plugins have none."""
    if one.checksums or one.kind is not FetchKind.PULUMI or "/sdk/" not in one.url:
        return next(iter(one.checksums), "")
    listed = f"{GITHUB}/pulumi/pulumi/releases/download/v{one.version}/pulumi-{one.version}-checksums.txt"
    found = checksums.parse(read_text(listed)).get(file, set())
    if len(found) != 1:
        raise InfrastructureFailed(f"{listed} does not list one checksum of {file}", hint="fetch it by hand")
    return found.pop()


def _place(url: str, folder: Path) -> Path:
    """Return where the file of an address is. Raises InfrastructureFailed for a path that leads elsewhere."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    if not parts.hostname or ".." in path.split("/") or path.endswith("/"):
        raise InfrastructureFailed(f"{url} is not the address of a file", hint="fetch it by hand")
    return folder / parts.netloc / path.lstrip("/")


def _package(one: Address, folder: Path, activity: Activity, environment: Mapping[str, str]) -> list[str]:
    """Fetch a package of Python for this computer with pip, which checks its hash."""
    name = one.url.removeprefix("pkg:pypi/").partition("@")[0]
    target = folder / "pypi" / re.sub(r"[-_.]+", "-", name).lower()
    if there := _right(target, one.checksums):
        return [str(file.relative_to(folder)) for file in there]
    activity.say(f"downloading {name} {one.version}")
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fill-", dir=folder) as place:
            pins = Path(place) / "pins.txt"
            hashes = " ".join(f"--hash={checksum}" for checksum in one.checksums)
            pins.write_text(f"{name}=={one.version} {hashes}\n", encoding="utf-8")
            files = Path(place) / "files"
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(files)]
            words = [*command, *(["--require-hashes"] if hashes else []), "--requirement", str(pins)]
            process.run(words, env=environment, activity=activity, timeout=PIP_SECONDS)
            moved = [shutil.move(file, target / file.name) for file in files.iterdir()]
    except OSError as error:
        raise from_os_error(error) from error
    return [str(Path(file).relative_to(folder)) for file in moved]


def _right(target: Path, checksums: Sequence[str]) -> list[Path]:
    """Return the files of a folder that have one of the checksums."""
    files = [file for file in target.glob("*") if file.is_file()] if checksums else []
    return [file for file in files if checksum_of(file, "sha256") in checksums]
