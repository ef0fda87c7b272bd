"""The files of a stack as the engine reads them; tests/engine compares a table of layouts with the engine itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakery.errors import BakeryError
from bakery.settings import files
from bakery.settings.yaml import plain


def read(root: Path, project: str = "", stack: str = "", decrypt: files.Decrypt = files.refuse) -> Any:
    (root / "Pulumi.yaml").write_text(f"name: image-bakery\n{project}", encoding="utf-8")
    (root / "Pulumi.dev.yaml").write_text(stack, encoding="utf-8")
    return files.values(files.find(root, "dev"), decrypt)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("12:30", "12:30"), ("010", 8), ("1e3", 1000), ("1.0", 1), ("1_0", 10),
        ("~", None), ("True", True), ("TRUE", True), ("false", False),
        ("2026-11-28", "2026-11-28 00:00:00 +0000 UTC"), ("2026-02-30", "2026-02-30"), ("09", 9), ("1.2.3", "1.2.3"),
        (str(10**30), 10.0**30), ("", None), ("0x1f", 31), ("-0b11", -3), ("-010", -8),
    ],
)  # fmt: skip
def test_a_scalar_is_what_go_reads(text: str, value: object) -> None:
    assert plain(text) == value
    assert type(plain(text)) is type(value)


def test_a_stack_whose_config_is_a_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BakeryError, match=r"Pulumi\.dev\.yaml:1: error: has no mapping below config:"):
        read(tmp_path, stack="config: text\n")


def test_the_stack_counts_before_the_project(tmp_path: Path) -> None:
    project = (
        "config: {oven: fake, lock: theirs, local.cores: 2, local.slots: 3, gcp:project: p, packages: {type: string}}\n"
    )
    given, secrets = read(tmp_path, project, "config: {lock: mine, image-bakery:local: {cores: 4}}\n")
    assert given == {"oven": "fake", "lock": "mine", "local": {"cores": 4, "slots": 3}}
    assert secrets == {}


def test_secrets_are_named_by_their_path_and_decrypted_once(tmp_path: Path) -> None:
    calls = []

    def decrypt() -> dict[str, Any]:
        calls.append(1)
        return {
            "image-bakery:spack": {"source": "plain", "ref": "v1"},
            "image-bakery:select": ["a", "bbbb"],
            "gcp:x": "y",
        }

    stack = (
        "config: {image-bakery:spack: {source: {secure: v1:x}, ref: v1}, image-bakery:select: [a, {secure: v1:y}]}\n"
    )
    given, secrets = read(tmp_path, "", stack, decrypt)
    assert given == {"spack": {"source": "plain", "ref": "v1"}, "select": ["a", "bbbb"]}
    assert secrets == {"spack.source": "plain", "select.1": "bbbb"}
    assert calls == [1]


@pytest.mark.parametrize("stack", ["config: {gcp:credentials: {secure: v1:x}}\n", "config: {oven: fake}\n", ""])
def test_the_engine_is_not_asked_without_a_secret_of_ours(tmp_path: Path, stack: str) -> None:
    assert read(tmp_path, "", stack)[1] == {}


@pytest.mark.parametrize("stack", ["config: {oven: {secure: v1:x}}\n", "environment: [a]\n"])
def test_without_an_engine_a_secret_is_an_error(tmp_path: Path, stack: str) -> None:
    with pytest.raises(BakeryError, match="only the engine can decrypt"):
        assert read(tmp_path, "", stack)[1] == {}


@pytest.mark.parametrize(
    ("project", "file"),
    [
        ("", "Pulumi.dev.yaml"),
        ("stackConfigDir: a/b\n", "a/b/Pulumi.dev.yaml"),
        ("config: a\n", "a/Pulumi.dev.yaml"),
    ],
)
def test_the_file_of_a_stack(tmp_path: Path, project: str, file: str) -> None:
    (tmp_path / "Pulumi.yaml").write_text(f"name: bakery\n{project}", encoding="utf-8")
    for stack in ("dev", "organization/bakery/dev", "organization/dev"):
        found = files.find(tmp_path, stack)
        assert (found.file, found.stack, found.project) == (tmp_path / file, "dev", "bakery")
    assert files.find(tmp_path, "dev", "/x/other.yaml").file == Path("/x/other.yaml")


def test_a_program_of_ones_own_has_keys_of_its_own_beside_those_of_the_bakery(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: site\nconfig: {state: theirs, image-bakery:lock: our.lock}\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {site:oven: theirs, image-bakery:oven: fake}\n")
    found = files.find(tmp_path, "dev")
    assert (found.project, found.namespace) == ("site", "image-bakery")
    assert files.values(found, files.refuse) == ({"oven": "fake", "lock": "our.lock"}, {})
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {site:oven: fake, image-bakery:lock: our.lock}\n")
    (tmp_path / "Pulumi.yaml").write_text("name: site\n")
    assert files.values(files.find(tmp_path, "dev"), files.refuse)[0] == {"lock": "our.lock"}
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {site:oven: fake, gcp:project: p}\n")
    assert files.values(files.find(tmp_path, "dev"), files.refuse)[0] == {"oven": "fake"}
