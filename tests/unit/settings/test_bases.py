"""The cloud images that the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakery.errors import InputError
from bakery.settings import LocalBase, parse

SUM = f"sha256:{'0' * 64}"


def read(bases: dict[str, Any]) -> Any:
    return parse({"local": {"bases": bases}}, "dev", Path("/nowhere")).local.bases


def test_names_paths_and_addresses_are_told_apart() -> None:
    bases = read({"p/a": {"image": "alma-9"}, "p/b": {"image": "./b"}, "p/c": {"image": "http://c/c", "checksum": SUM}})
    assert {key: (base.local, base.remote) for key, base in bases.items()} == {
        "p/a": (False, False),
        "p/b": (True, False),
        "p/c": (False, True),
    }
    assert bases["p/c"] == LocalBase("http://c/c", SUM)


@pytest.mark.parametrize(
    ("bases", "words"),
    [
        ({"family": {"image": "a"}}, "local.bases.family is not a base image; write <project>/<family>"),
        ({"p/f": {}}, "local.bases.p/f.image is missing"),
        ({"p/f": {"image": "https://x/y"}}, "local.bases.p/f.checksum is missing"),
        ({"p/f": {"image": "a", "checksum": "md5:1"}}, "local.bases.p/f.checksum is 'md5:1'"),
        ({"p/f": {"image": "a", "sha": "1"}}, "unknown key 'image-bakery:local.bases.p/f.sha'"),
        ({"p/f": "a"}, "local.bases.p/f is 'a'; write a mapping"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(bases: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        read(bases)
    assert words in str(caught.value).replace(" (", "; ").replace(" hint: ", "; ").replace(": write", "; write")
