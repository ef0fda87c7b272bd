"""Secrets of a bake on this computer: where Packer finds them, and where nobody does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bakery import redaction
from bakery.errors import BakeFailed
from bakery.ovens.local.layer_names import LayerNames, layer_names
from bakery.ovens.local.packer import DEBUG_LOG
from bakery.ovens.local.secret_files import opened
from bakery.ovens.local.template import render
from bakery.recipe.secrets import search
from tests.support.bake_orders import order

VALUE = "a-licence-of-many-words"
BUILDER = {"type": "null"}


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What is hidden during a test is not hidden in others."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(redaction, "_marks", {})
        yield


def test_a_file_of_a_user_that_is_not_here_is_named(tmp_path: Path) -> None:
    secrets = {"key": {"file": "~no-such-user/key", "version": "1"}}
    with (
        pytest.raises(BakeFailed, match=r"no secret key: .*~no-such-user/key can't be read"),
        opened(secrets, tmp_path, tmp_path),
    ):
        pass


def test_other_programs_read_a_secret_from_memory_until_the_bake_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_bytes(b"\0of bytes\n")
    monkeypatch.setenv("LICENCE", VALUE)
    secrets = {"licence": {"environment": "LICENCE", "version": "1"}, "key": {"file": "key", "version": "2"}}
    with opened(secrets, tmp_path, tmp_path) as paths:
        found = {
            name: subprocess.run(["cat", path], capture_output=True, check=True).stdout for name, path in paths.items()
        }
        modes = {os.stat(path).st_mode & 0o777 for path in paths.values()}  # noqa: PTH116 - it is no path
        places = {os.readlink(path) for path in paths.values()}  # noqa: PTH115
    assert found == {"licence": VALUE.encode(), "key": b"\0of bytes\n"}
    assert (modes, places) == ({0o600}, {"/memfd:bakery-licence (deleted)", "/memfd:bakery-key (deleted)"})
    assert not any(Path(path).exists() for path in paths.values())


def test_values_are_hidden_in_what_is_printed_and_in_packers_own_log(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"begin\n{VALUE}\nend\n", encoding="utf-8")
    with opened({"key": {"file": str(tmp_path / "key"), "version": "1"}}, tmp_path, tmp_path):
        (tmp_path / DEBUG_LOG).write_text(f"ui: {VALUE}, which a script printed\n", encoding="utf-8")
        assert redaction.redacted(f"it is {VALUE}; the end") == "it is [secret secrets.key]; the end"
    assert (tmp_path / DEBUG_LOG).read_text() == "ui: [secret secrets.key], which a script printed\n"


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ({"environment": "NONE_SUCH"}, "the environment has no NONE_SUCH"),
        ({"file": "none-such"}, "none-such can't be read, or is empty"),
        ({"file": "empty"}, "empty can't be read, or is empty"),
    ],
)
def test_a_secret_that_is_not_there_ends_the_bake_before_it_begins(
    tmp_path: Path, secret: dict[str, str], message: str
) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(BakeFailed, match=message) as raised, opened({"key": secret}, tmp_path, tmp_path):
        pass
    assert "there is no secret key" in raised.value.message
    assert "secrets.key in recipe.yaml" in raised.value.hint


def test_secrets_come_into_the_machine_first_also_after_a_layer(tmp_path: Path) -> None:
    plain = render(order("app"), BUILDER, tmp_path)
    given = render(order("app"), BUILDER, tmp_path, given={"b": "/proc/1/fd/4", "a": "/proc/1/fd/3"})
    own = plain.template["provisioners"]
    first, last = given.template["provisioners"][:4], given.template["provisioners"][-1]
    assert given.template["provisioners"] == [*first, *own, last]
    assert [last] == search()
    assert [one["type"] for one in first] == ["shell", "file", "file", "shell"]
    places = [(one["source"], one["destination"].rpartition("/")[2]) for one in first[1:3]]
    assert places == [("/proc/1/fd/3", "a"), ("/proc/1/fd/4", "b")]
    assert given.provisioners == plain.provisioners
    assert given.after(1).template["provisioners"] == [*first, *own[2:], last]
    assert plain.after(1).template["provisioners"] == own[2:]


def test_the_scripts_around_them_are_sound_shell(tmp_path: Path) -> None:
    given = render(order("app"), BUILDER, tmp_path, given={"a": "/proc/1/fd/3"})
    for number in (0, 2, -1):
        step = given.template["provisioners"][number]
        text = "\n".join(("#!/bin/sh -e", *step["inline"], ""))
        done = subprocess.run(
            ["shellcheck", "--exclude=SC2016", "-"], input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_a_bake_with_a_secret_has_no_layers(tmp_path: Path) -> None:
    (tmp_path / "base").write_text("x")
    made = replace(order("app"), secrets={"key": {"file": "key", "version": "1"}})
    assert layer_names(made, tmp_path / "base", 10) == LayerNames((), "it is given a secret")
