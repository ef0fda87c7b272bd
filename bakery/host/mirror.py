"""Where Debian packages come from: the mirror that this machine's apt uses, for the release that an image needs.

Reads one-line sources (``*.list``) and deb822 sources (``*.sources``), see sources.list(5). It is not replaced by
``apt-get indextargets``, which (apt 2.6) has no Signed-By and is empty until the first ``apt-get update``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bakery.errors import InfrastructureFailed
from bakery.host import distribution
from bakery.settings.network import mirrored

ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$")
# How the addresses of Debian's archives end, and what is added to the names of the suites there.
ARCHIVES = {"/debian": ("", "-updates"), "/debian-security": ("-security",)}
HINT = "set local.mirror to the address of a Debian mirror"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")  # of the package debian-archive-keyring
RELEASES = {"debian-11": "bullseye", "debian-12": "bookworm", "debian-13": "trixie"}  # image family: Debian release


@dataclass(frozen=True)
class Source:
    """One archive, one suite. ``signed_by`` is a key ring's path, or empty."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""

    def line(self) -> str:
        """Return the source as a line of a ``.list`` file."""
        option = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {option}{self.uri} {self.suite} {' '.join(self.components)}"


def one_line(text: str) -> Iterator[Source]:
    """Yield the sources of a ``.list`` file."""
    for line in text.splitlines():
        match = ONE_LINE.match(line.partition("#")[0].strip())
        if match:
            options = dict(option.split("=", 1) for option in (match["options"] or "").split() if "=" in option)
            yield Source(match["uri"], match["suite"], tuple(match["components"].split()), options.get("signed-by", ""))


def deb822(text: str) -> Iterator[Source]:
    """Yield the sources of a ``.sources`` file; keys that the file contains itself are left out."""
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", kept):
        fields = {
            key.lower(): value.strip() for key, value in re.findall(r"(?m)^([\w-]+):((?:.*(?:\n[ \t].*)*))", stanza)
        }
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        signed = fields.get("signed-by", "")
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = tuple(fields.get("components", "").split())
                yield Source(uri, suite, components, signed if signed.startswith("/") else "")


def apt_sources(apt: Path = Path("/etc/apt")) -> tuple[Source, ...]:
    """Return all sources of this machine's apt, in apt's order."""
    sources: list[Source] = []
    for file in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))):
        parse = {".list": one_line, ".sources": deb822}.get(file.suffix)
        if parse and file.is_file():
            sources += parse(file.read_text(encoding="utf-8", errors="replace"))
    return tuple(sources)


def for_suite(suite: str, configured: str, sources: Sequence[Source], codename: str) -> tuple[Source, ...]:
    """Return the sources of the Debian release ``suite``: the setting, or this machine's (``codename``) moved.

    Raises InfrastructureFailed if this machine's apt has no Debian mirror.
    """
    if configured:
        return (Source(configured, suite, ("main",)),)
    moved: dict[tuple[str, str], Source] = {}
    for source in sources:
        kind = source.suite.removeprefix(codename)
        if "main" in source.components and kind in ("", "-updates", "-security"):
            target = f"{suite}{kind}"
            moved.setdefault((source.uri, target), Source(source.uri, target, ("main",), source.signed_by))
    if not any(source.suite == suite for source in moved.values()):
        raise InfrastructureFailed("this machine's apt has no Debian mirror to make a base image from", hint=HINT)
    return tuple(moved.values())


def published(suite: str, mirrors: Mapping[str, str]) -> tuple[Source, ...]:
    """Return the sources of the Debian release ``suite`` whose archives ``mirrors`` has.

    Empty without a mirror of the release itself.
    """
    found = {end: origin for end in ARCHIVES for origin in mirrors if origin.endswith(end)}
    if "/debian" not in found:
        return ()
    return tuple(Source(origin, f"{suite}{kind}", ("main",)) for end, origin in found.items() for kind in ARCHIVES[end])


def of_release(suite: str, configured: str, mirrors: Mapping[str, str]) -> tuple[Source, ...]:
    """Return the sources of the Debian release ``suite``: those of ``mirrors``, the settings or this machine.

    The first that are known are taken. Raises InfrastructureFailed if there are none.
    """
    return published(suite, mirrors) or for_suite(suite, configured, apt_sources(), codename())


def at_mirrors(sources: Sequence[Source], mirrors: Mapping[str, str]) -> tuple[Source, ...]:
    """Return the sources as they are fetched."""
    return tuple(replace(source, uri=mirrored(source.uri, mirrors)) for source in sources)


def codename(os_release: Path = distribution.OS_RELEASE) -> str:
    """Return the name of this machine's own Debian release; "" if it has none or is not Debian."""
    fields = distribution.read(os_release)
    return fields.get("VERSION_CODENAME", "") if fields.get("ID") == "debian" else ""
