"""The local library with 1,000 and 10,000 images, against raw SQLite that makes the same rows durable.

Run: python benchmarks/library_calls.py [--json FILE]. Both sides work in one run in the same folder; every figure is
the median of several, in milliseconds; a ratio compares the library with the plainest statements that keep its promise.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bakery.library.base import ImageRecord
from bakery.library.local.files import Sidecar
from bakery.library.local.library import LocalLibrary
from bakery.library.local.rows import insert_image
from bakery.settings import parse
from benchmarks import _options

REPEATS = 50
FAMILIES = 100


def record(number: int) -> ImageRecord:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    family = f"family{number % FAMILIES}"
    inputs = {f"packages/some/file{part}": digest[:12] for part in range(10)}
    created = f"2026-01-{number // 1440 + 1:02}T{number // 60 % 24:02}:{number % 60:02}:00Z"
    return ImageRecord(f"{family}-{digest[:12]}", digest, "some", "", family, created, size=1, inputs=inputs)


def filled(root: Path, count: int) -> LocalLibrary:
    """A library of that many images, put there in one transaction: the benchmark is not about filling it."""
    library = LocalLibrary(parse({"oven": "fake"}, "bench", root))
    library.images()
    library.files.folder.mkdir(parents=True, exist_ok=True)
    with library.database.writing() as connection:
        for number in range(count):
            image = record(number)
            library.files.image(image.digest).write_text("x")
            library.files.sidecar(image.name).write_text("{}")
            insert_image(connection, image, Sidecar("p", image).publication, image.created)
    return library


def milliseconds(call: Callable[[int], object], repeats: int = REPEATS) -> float:
    """The median time of a call; it is given 0, 1, 2 ..."""
    taken = []
    for number in range(repeats):
        begin = time.perf_counter()
        call(number)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1000


class Raw:
    """The same database file, spoken to in plain SQL with the same durability."""

    def __init__(self, library: LocalLibrary) -> None:
        self.library = library
        self.connection = sqlite3.connect(library.database.file, isolation_level=None)
        self.connection.execute("PRAGMA synchronous = FULL")

    def find(self, number: int) -> None:
        image = record(number)
        self.connection.execute("SELECT * FROM images WHERE name = ?", (image.name,)).fetchone()

    def promote(self, number: int) -> None:
        image = record(number)
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute("UPDATE images SET state = 'DEPRECATED' WHERE name = ?", (image.name,))
        self.connection.execute("UPDATE images SET family = 'x', state = 'ACTIVE' WHERE name = ?", (image.name,))
        self.connection.execute(
            "INSERT INTO history (family, event, image, at) VALUES ('x', 'lost', ?, '')", (image.name,)
        )
        self.connection.execute("COMMIT")

    def images(self, _number: int) -> None:
        self.connection.execute("SELECT * FROM images ORDER BY created, seq").fetchall()

    def publish(self, number: int) -> None:
        """A file made durable and renamed, its folder made durable, one row."""
        file = self.library.files.folder / f"raw-{number}"
        file.write_text("x")
        for path in (file, file.parent):
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
        file.rename(file.with_suffix(".raw"))
        self.connection.execute("INSERT INTO history (family, event, image, at) VALUES ('x', 'lost', 'y', '')")


def measure(count: int) -> dict[str, dict[str, float]]:
    """Library, raw SQLite and their ratio, for each operation."""
    with tempfile.TemporaryDirectory() as folder:
        library = filled(Path(folder), count)
        raw = Raw(library)

        def publish(number: int) -> None:
            file = Path(folder) / "baked"
            file.write_text("x")
            library.publish(record(count + number), file)

        def promote(number: int) -> None:
            image = record(count // 2 + number)
            library.promote(image.name, image.candidate_for)

        pairs: dict[str, tuple[Callable[[int], object], Callable[[int], object], int]] = {
            "find": (lambda number: library.find(record(number).name), raw.find, REPEATS),
            "promote": (promote, raw.promote, REPEATS),
            "publish": (publish, raw.publish, REPEATS),
            "images": (lambda _: library.images(), raw.images, 5),
        }
        found = {}
        for name, (ours, plain, repeats) in pairs.items():
            mine, theirs = milliseconds(ours, repeats), milliseconds(plain, repeats)
            found[name] = {"library_ms": mine, "raw_ms": theirs, "ratio": mine / theirs}
        library.database.close()
        raw.connection.close()
        return found


def main() -> None:
    given = _options.parser(__doc__).parse_args()
    results = {str(count): measure(count) for count in (1_000, 10_000)}
    for count, operations in results.items():
        for name, figures in operations.items():
            print(
                f"{count:>6} images  {name:<8} {figures['library_ms']:9.2f} ms"
                f"   raw {figures['raw_ms']:9.2f} ms   ratio {figures['ratio']:6.2f}"
            )
    _options.write(results, given)


if __name__ == "__main__":
    main()
