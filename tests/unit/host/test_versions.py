"""A file for consumers is written only if it changed, and its earlier versions stay."""

from __future__ import annotations

import re

from bakery.host.versions import store


def test_only_a_change_is_written_and_every_version_stays() -> None:
    files: dict[str, bytes] = {}

    def put(content: bytes) -> bool:
        return store("out/p/dev/images.auto.tfvars.json", content, files.get, files.__setitem__)

    assert [put(b"1"), put(b"1"), put(b"2"), put(b"2")] == [True, False, True, False]
    assert files.pop("out/p/dev/images.auto.tfvars.json") == b"2"
    assert sorted(files.values()) == [b"1", b"2"]
    version = r"out/p/dev/versions/images-\d{8}T\d{6}Z-[0-9a-f]{12}\.auto\.tfvars\.json"
    assert [name for name in files if not re.fullmatch(version, name)] == []
