"""A local library, and images for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bakery.library.base import ImageRecord
from bakery.library.local.library import LocalLibrary
from bakery.settings import Settings


class Kitchen:
    """A library with a clock that the test sets, and a way to bake into it. Every bake is a second after the last."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.time = "2026-01-01T00:00:00.000Z"
        self.library = LocalLibrary(settings, clock=lambda: self.time)
        self.count = 0

    def record(self, family: str, content: str, parent: str = "") -> ImageRecord:
        digest = hashlib.sha256(f"{family} {content}".encode()).hexdigest()
        self.count += 1
        created = f"2026-01-01T{self.count // 3600:02}:{self.count // 60 % 60:02}:{self.count % 60:02}Z"
        return ImageRecord(f"{family}-{digest[:12]}", digest, "some", "", family, created, parent=parent)

    def file(self, content: str) -> Path:
        file = self.folder / f"baked-{self.count}.qcow2"
        file.write_text(content)
        return file

    def bake(self, family: str, content: str, parent: str = "") -> ImageRecord:
        return self.library.publish(self.record(family, content, parent), self.file(content))

    def again(self) -> LocalLibrary:
        """The same library as another process sees it."""
        return LocalLibrary(self.settings, clock=lambda: self.time)


@pytest.fixture
def kitchen(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Kitchen]:
    made = Kitchen(make_settings(), tmp_path)
    yield made
    made.library.database.close()
