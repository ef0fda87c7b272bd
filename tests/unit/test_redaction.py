"""Secret settings are shown by their name, and an order gets them back."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bakery import redaction
from bakery.errors import BakeFailed, CommandFailed, InputError, Problem
from bakery.host import process
from bakery.plan.digest import Material, content, manifest
from bakery.settings import OvenKind, Settings, from_pulumi, parse
from bakery.settings.files import texts

SECRET = 'https://user:to"ken@example.com/spack.git'


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_marks", {})


def test_an_order_is_stored_without_its_secret_and_restored() -> None:
    redaction.hide({"spack.source": SECRET, "spack.ref": "develop"})
    order = json.dumps({"variables": {"a": SECRET, "b": f"develop {SECRET}", "c": "plain"}})
    stored = redaction.redacted(order)
    assert "ken" not in stored and json.loads(stored)["variables"]["a"] == "[secret spack.source]"
    redaction._marks.clear()
    assert redaction.restored(stored, {"spack.source": SECRET, "spack.ref": "develop"}) == order
    assert redaction.redacted(SECRET) == "[secret spack.source]", "what an order holds is hidden in its plugin, too"
    assert redaction.restored('"[secret gone]"', {}) == '"[secret gone]"'


def test_errors_problems_and_logs_of_commands_show_no_secret(tmp_path: Path) -> None:
    redaction.hide({"spack.source": SECRET})
    for error in (
        BakeFailed(f"no {SECRET}", hint=SECRET, tail=[SECRET], replay=f"git clone {SECRET}"),
        CommandFailed(["git", SECRET], 1, (), None, ""),
        InputError([Problem("a", 1, f"is {SECRET}", SECRET)]),
        BakeFailed('no login for user:to"ken@other'),
    ):
        assert "ken" not in str(error)
    log = tmp_path / "log"
    code = "import sys; sys.stdout.buffer.write(sys.argv[1].encode() + b' \\xff\\n')"
    assert process.run([sys.executable, "-c", code, SECRET], log=log) == ("[secret spack.source] \ufffd",)
    assert log.read_bytes() == b"[secret spack.source] \xff\n"


def test_the_manifest_shows_a_digest_and_the_digest_of_the_image_stays() -> None:
    material = Material(variables={"spack_source": SECRET, "spack_ref": "v1"}, nonce="a")
    shown = manifest(material, [SECRET])
    assert "ken" not in json.dumps(shown)
    assert (
        shown["variable spack_source"] != manifest(Material(variables={"spack_source": "x"}))["variable spack_source"]
    )
    assert shown | {"variable spack_source": SECRET} == manifest(material)
    assert content(material) == content(Material(variables=dict(material.variables), nonce="a"))


def test_the_program_hides_the_texts_of_the_keys_that_the_engine_calls_secret(tmp_path: Path) -> None:
    class Config:
        name = "image-bakery"

        def get(self, key: str) -> str | None:
            return {"spack": json.dumps({"source": SECRET, "ref": "v1"}), "lock": "a.lock"}.get(key)

    settings: Settings = from_pulumi(Config(), "dev", tmp_path, (), ["image-bakery:spack"])  # type: ignore[arg-type]
    assert settings.secrets == {"spack.source": SECRET}
    assert "ken" not in redaction.redacted(f"{SECRET} a.lock") and "a.lock" in redaction.redacted("a.lock")
    assert settings.oven is OvenKind.LOCAL
    assert "secrets" not in repr(parse({}, "dev", tmp_path))


def test_texts_are_found_in_lists_and_in_json() -> None:
    values = {"select": ["aaaa", "b"], "spack": '{"source": "cccc"}', "lock": "[broken", "nonce": {"x": {"y": "dddd"}}}
    found = {"select.0": "aaaa", "spack.source": "cccc", "lock": "[broken", "nonce.x.y": "dddd"}
    assert texts(values, values) == found
    assert texts(values, ["select", "gone"]) == {"select.0": "aaaa"}
