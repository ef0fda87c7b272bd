"""``bakery image`` as a script uses it."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from bakery.cli.app import make_app
from bakery.cli.options import settings_of
from bakery.library.base import ImageRecord
from bakery.library.local.library import LocalLibrary
from tests.support.checkout import Checkout


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(make_app("image"), ["image", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_it_prints_the_name_the_file_or_everything(checkout: Checkout) -> None:
    checkout.settings("dev", oven="fake")
    assert run("app") == (1, "", "error: the family app points at no image\n"
                          "hint: see: bakery library; a family gets an image by pulumi up\n")  # fmt: skip
    library = LocalLibrary(settings_of("dev"))
    file = checkout.root / "image"
    file.write_text("x", encoding="utf-8")
    record = library.publish(ImageRecord("app-1", "1" * 64, "app", "", "app", "2030-01-01T00:00:00Z"), file)
    library.promote("app-1", "app")
    assert run("app") == (0, "app-1\n", "")
    assert run("app", "--format", "self-link") == (0, f"{record.location}\n", "")
    assert json.loads(run("app", "--format", "json")[1])["digest"] == "1" * 64
    assert run("app", "--format", "xml")[0] == 2
    library.promote(library.derive("app-1", "app-stable"), "app-stable")
    assert run("app", "--channel", "stable") == (0, "app-stable-1\n", "")
    told = [json.loads(run(family, "--format", "json")[1])["channel"] for family in ("app", "app-stable")]
    assert told == ["", "stable"]
