"""Many processes and threads at once, and processes that are killed at any point."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bakery.errors import BakeryError
from bakery.library.base import ImageRecord, ImageState, Proof
from bakery.library.local.library import LocalLibrary
from bakery.library.local.repair import repair
from bakery.settings import Settings
from tests.support.promotions import history
from tests.support.root import ROOT
from tests.unit.library.conftest import Kitchen

SIZE = 300_000
PROGRAM = """
    import hashlib, os, sys
    from pathlib import Path
    from bakery.library.base import ImageRecord, Proof
    from bakery.library.local.library import LocalLibrary
    from bakery.settings import parse

    root, worker, scratch = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    library = LocalLibrary(parse({"oven": "fake"}, "test", root))
    for number in range(int(sys.argv[4])):
        content = hashlib.sha256(f"{worker} {number}".encode()).digest() * (%d // 32)
        digest = hashlib.sha256(content).hexdigest()
        record = ImageRecord(f"rcc-{digest[:12]}", digest, "some", "", "rcc", f"2026-01-01T00:00:{number %% 60:02}Z")
        file = scratch / f"{worker}.qcow2"
        file.write_bytes(content)
        library.publish(record, file)
        library.record_test(record.name, Proof.PASSED, "tests")
        library.promote(record.name, "rcc")
        print(record.name, flush=True)
    """


def start(root: Path, worker: str, scratch: Path, count: int) -> subprocess.Popen[str]:
    program = textwrap.dedent(PROGRAM % SIZE)
    return subprocess.Popen(
        [sys.executable, "-c", program, str(root), worker, str(scratch), str(count)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def check(library: LocalLibrary) -> set[str]:
    """Every image that is shown is whole; at most one family pointer, at an ACTIVE image; returns the names."""
    images = library.images()
    for image in images:
        assert hashlib.sha256(Path(image.location).read_bytes()).hexdigest() == image.digest
        assert library.find(image.name) == image
    pointed = library.families().get("rcc")
    for image in images:
        if image.name == pointed:
            assert image.state is ImageState.ACTIVE
        elif image.family == "rcc":
            assert image.state is ImageState.DEPRECATED
    return {image.name for image in images}


@pytest.mark.parametrize("scratch", ["same file system", "another file system"])
def test_a_process_that_is_killed_at_any_point_leaves_whole_images_only(
    kitchen: Kitchen, tmp_path: Path, scratch: str
) -> None:
    folder = tmp_path / "scratch" if scratch == "same file system" else Path("/dev/shm") / f"bakery-{tmp_path.name}"
    folder.mkdir()
    chance = random.Random(7)
    said: set[str] = set()
    try:
        for round_ in range(8):
            process = start(tmp_path, f"w{round_}", folder, 10_000)
            assert process.stdout is not None
            said.add(process.stdout.readline().strip())  # it has begun
            time.sleep(chance.uniform(0.0, 0.15))
            process.send_signal(signal.SIGKILL)
            said |= {line.strip() for line in process.stdout if line.endswith("\n")}
            process.stdout.close()
            process.wait()
            assert said <= check(kitchen.library)  # every reported image exists
        repair(kitchen.library)
        assert said <= check(kitchen.library)
        assert not list(kitchen.library.files.folder.glob(".*"))
        digests, names = kitchen.library.files.listing()
        assert len(digests) == len(names) == len(kitchen.library.images())
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def test_processes_that_publish_and_promote_at_once_all_get_through(kitchen: Kitchen, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    workers = [start(tmp_path, f"w{number}", scratch, 6) for number in range(4)]
    outputs = [worker.communicate(timeout=120)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0, 0]
    said = {line for output in outputs for line in output.split()}
    assert check(kitchen.library) == said
    assert len(said) == 24
    events = history(kitchen.library, "rcc")
    # no promotion was lost
    assert [event["previous"] for event in events[1:]] == [event["image"] for event in events[:-1]]
    assert kitchen.library.families()["rcc"] == events[-1]["image"]


def test_forty_threads_of_one_process_publish_prove_and_promote(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings()

    def create(number: int) -> str:
        library = LocalLibrary(settings)  # as each create of the plugin makes its own
        family = f"family{number}"
        digest = hashlib.sha256(family.encode()).hexdigest()
        file = tmp_path / f"{number}.qcow2"
        file.write_text(family)
        image = library.publish(
            ImageRecord(f"{family}-{digest[:12]}", digest, "some", "", family, "2026-01-01T00:00:00Z", bake_seconds=1),
            file,
        )
        library.record_test(image.name, Proof.PASSED, "tests")
        library.promote(image.name, family)
        library.database.close()
        return image.name

    with ThreadPoolExecutor(40) as pool:
        names = list(pool.map(create, range(40)))
    library = LocalLibrary(settings)
    assert dict(library.families()) == {f"family{number}": name for number, name in enumerate(names)}
    assert len(library.bake_times()) == 40
    library.database.close()


def test_threads_that_bake_one_image_get_one(kitchen: Kitchen) -> None:
    record = kitchen.record("rcc", "one")

    def publish(number: int) -> ImageRecord:
        file = kitchen.folder / f"thread-{number}.qcow2"
        file.write_text("content")
        library = kitchen.again()
        made = library.publish(record, file)
        library.database.close()
        return made

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(publish, range(8)))
    assert len(set(map(repr, made))) == 1
    assert len(kitchen.library.images()) == 1
    assert not list(kitchen.folder.glob("thread-*"))


def test_a_lease_is_dropped_when_its_process_is_killed(kitchen: Kitchen, tmp_path: Path) -> None:
    image = kitchen.bake("rcc", "one")
    program = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from bakery.library.local.library import LocalLibrary
        from bakery.settings import parse
        with LocalLibrary(parse({"oven": "fake"}, "test", Path(sys.argv[1]))).lease(sys.argv[2]):
            print("held", flush=True)
            time.sleep(600)
        """)
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), image.name], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert kitchen.library.leases.taken(image.digest)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert not kitchen.library.leases.taken(image.digest)


def test_a_lease_on_a_missing_image_is_an_error(kitchen: Kitchen) -> None:
    with pytest.raises(BakeryError, match="no image x"), kitchen.library.lease("x"):
        pass
