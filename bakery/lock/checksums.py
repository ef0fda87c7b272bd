"""Files of checksums, as publishers of images write them.

Three styles are known: that of GNU (``<hex>  <file>``, ``<hex> *<file>``), that of BSD (``SHA256 (<file>) = <hex>``),
and either of them signed in clear text (RFC 9580, section 7). Signatures are not verified: the checksum that is pinned
in ``bakery.lock`` is what a review sees.
"""

import re

_GNU = re.compile(r"(?P<hex>[0-9a-fA-F]{64}|[0-9a-fA-F]{128}) [ *](?:\./)?(?P<file>\S.*)")
_BSD = re.compile(r"SHA(?:256|512) \((?P<file>.+)\) = (?P<hex>[0-9a-fA-F]{64}|[0-9a-fA-F]{128})")
_SIGNED = re.compile(
    r"-----BEGIN PGP SIGNED MESSAGE-----\n(?:.+\n)*\n(?P<text>.*?)^-----BEGIN PGP SIGNATURE", re.S | re.M
)
_ALGORITHMS = {64: "sha256", 128: "sha512"}  # length of the hexadecimal number


def parse(text: str) -> dict[str, set[str]]:
    """Return the checksums (``sha256:<hex>``) of each file that is named; other lines are skipped.

    In a signed file only the signed lines count. A file with more than one checksum has several.
    """
    text = text.replace("\r\n", "\n")
    signed = _SIGNED.search(text)
    found: dict[str, set[str]] = {}
    for line in (signed["text"] if signed else text).splitlines():
        plain = line.removeprefix("- ").strip()
        if match := _GNU.fullmatch(plain) or _BSD.fullmatch(plain):
            digits = match["hex"].lower()
            found.setdefault(match["file"], set()).add(f"{_ALGORITHMS[len(digits)]}:{digits}")
    return found
