"""A checkout with the gcp stack, declared in a fake Google Cloud: for its tests and its benchmark."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.fake_google import agents, builds
from tests.fake_google.builds import Course
from tests.fake_google.server import FakeServer, serve
from tests.gcp import endpoints
from tests.support import workshop as shop
from tests.support.workshop import Workshop

HERE = Path(__file__).parent


@dataclass
class Stack:
    """A checkout with a gcp stack, and the cloud it is declared in."""

    workshop: Workshop
    server: FakeServer

    def items(self, part: str) -> list[str]:
        """The cloud's resources whose path holds ``part``, in order."""
        return sorted(key for key in self.server.cloud.items if part in key)

    def families(self) -> dict[str, str]:
        found = {}
        for key in self.items("/global/images/"):
            image = self.server.cloud.items[key]
            if image.get("family") and "deprecated" not in image:
                found[image["family"]] = image["name"]
        return found


@contextlib.contextmanager
def declared(
    folder: Path, home: Path, engine: str, *, machines: bool = False, root: Path = shop.ROOT
) -> Iterator[Stack]:
    """A stack in ``folder`` without recipes or resources yet; ``engine`` is the folder of the ``pulumi`` program.

    Test runs end at once, unless there are ``machines``. The program is that of the checkout ``root``.
    """
    made = shop.make(folder / "checkout", home, engine, root)
    made.stack = "gcp"
    made.env["PATH"] = os.pathsep.join([str(plugin_folder(folder)), made.env["PATH"]])
    lock_base(made.folder / "bakery.lock")
    with serve() as server:
        google = {"project": "p", "region": "us-central1", "repository": "owner/name", "endpoint": server.url}
        made.extra = {"oven": "cloud-build", "google": google}
        made.provider = endpoints.settings(server.url)
        made.env |= endpoints.environment(server.url)
        if not machines:
            agents.obey(server.cloud)
        yield Stack(shop.init(made), server)


def engine() -> str:
    """The folder of the ``pulumi`` program."""
    program = shutil.which("pulumi")
    assert program, "there is no pulumi on PATH: run `make setup`"
    return str(Path(program).parent)


@contextlib.contextmanager
def two_images(tmp_path: Path, base: Path) -> Iterator[Stack]:
    """A stack with a recipe and one of its images; its engines share what is below ``base``."""
    with declared(tmp_path, base / "gcp-home", engine()) as made:
        builds.script(made.server.cloud, lambda _build: Course(seconds=0.2))
        made.workshop.recipe("base")
        made.workshop.recipe("app", parent="base")
        yield made
        assert made.server.cloud.violations == []


def plugin_folder(tmp_path: Path) -> Path:
    """A folder with the provider: the one that GCP_PLUGIN names, or the stand-in."""
    folder = tmp_path / "plugin"
    folder.mkdir()
    program = folder / "pulumi-resource-gcp"
    if os.environ.get("GCP_PLUGIN"):
        program.symlink_to(Path(os.environ["GCP_PLUGIN"]).resolve())
    else:
        python = shop.ROOT / ".venv" / "bin" / "python"
        program.write_text(f'#!/bin/sh\nexec "{python}" "{HERE / "provider.py"}" "$@"\n')
        program.chmod(0o755)
    return folder


def lock_base(file: Path) -> None:
    """Know the external base image on Google Cloud too."""
    content = yaml.safe_load(file.read_text()) or {}
    content.setdefault("google", {})["debian-cloud/debian-12"] = {
        "name": "debian-12-bookworm-v1",
        "identity": "id:1",
        "resolved": "2026-01-01T00:00:00Z",
    }
    file.write_text(yaml.safe_dump(content))
