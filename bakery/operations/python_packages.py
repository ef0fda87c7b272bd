"""The packages of Python that a stack's program is installed from.

A lock file has all of them with the checksums of their files. Without one they are those that ``requirements.txt``
names and all that these require, in the versions that are installed. Source: "Core metadata specifications" of PyPA.
"""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from bakery.plan.address import Address, FetchKind
from bakery.settings import Settings

LOCK, NAMES = "requirements.lock", "requirements.txt"
THIS = "image-bakery"
_PIN = re.compile(r"(?m)^([\w.-]+)(?:\[[^]]*\])? *== *([^\s;,]+)((?:[^\n]*\\\n)*[^\n]*)")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")
_NAME = re.compile(r"(?m)^([A-Za-z0-9][\w.-]*)(?:\[([^]]*)\])?")
_EXTRA = re.compile(r"\bextra\s*==\s*['\"]([^'\"]+)")


def python_packages(settings: Settings) -> Iterator[Address]:
    """Yield the packages, with the checksums that are known."""
    texts = {name: _text(settings, name) for name in (LOCK, NAMES)}
    file = LOCK if texts[LOCK] else NAMES
    pins = {_canonical(name): (name, version, rest) for name, version, rest in _PIN.findall(texts[file])}
    for name, version, rest in pins.values():
        yield _address(settings, name, version, tuple(_HASH.findall(rest)), file)
    if file == LOCK:
        return
    for found in _installed([*_NAME.findall(texts[NAMES]), (THIS, "")]):
        name = found.metadata["Name"]
        if _canonical(name) not in pins and found.read_text("direct_url.json") is None:  # else it is of no index
            yield _address(settings, name, found.version, (), THIS)


def _text(settings: Settings, name: str) -> str:
    file = settings.root / name
    return file.read_text(encoding="utf-8-sig", errors="replace") if file.is_file() else ""


def _address(settings: Settings, name: str, version: str, sums: tuple[str, ...], used_by: str) -> Address:
    url, index = f"pkg:pypi/{name}@{version}", settings.network.mirrors.pypi
    return Address(FetchKind.PYPI, url, f"{index}/{name}/" if index else url, version, sums, (used_by,))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed(wanted: list[tuple[str, str]]) -> Iterator[Distribution]:
    """Yield those of the packages that are installed and all that they require, each once; extras have commas.

    What a package requires under a condition that is not met here is not installed.
    """
    seen: set[tuple[str, str]] = set()
    names: set[str] = set()
    while wanted:
        name, extras = wanted.pop()
        if (one := (_canonical(name), extras)) in seen:
            continue
        seen.add(one)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        if one[0] not in names:
            names.add(one[0])
            yield found
        asked = {_canonical(extra.strip()) for extra in extras.split(",")}
        for line in found.requires or ():
            extra = _EXTRA.search(line)
            if extra is None or _canonical(extra[1]) in asked:
                wanted += _NAME.findall(line)
