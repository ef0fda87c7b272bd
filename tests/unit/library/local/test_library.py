"""What the local library promises beyond the contract: files, records, and what becomes of damaged ones."""

from __future__ import annotations

import gc
import os
import re
import sqlite3
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.errors import BakeryError, InfrastructureFailed, Uncertain
from bakery.library.base import ImageRecord, ImageState, Proof
from bakery.library.local import database
from bakery.library.local.database import Database
from bakery.library.local.library import LocalLibrary
from bakery.library.local.migrations import MIGRATIONS
from bakery.library.local.repair import repair
from bakery.recipe.model import Metric
from bakery.results.app_runs import APP_RUNS
from bakery.results.model import Figure, JobResult, RunResult, Stage, Verdict
from tests.support.every import every
from tests.support.promotions import history
from tests.unit.library.conftest import Kitchen


def test_make_gives_the_local_library_for_the_fake_oven(kitchen: Kitchen) -> None:
    assert isinstance(backend(kitchen.settings).library(), LocalLibrary)


def test_a_published_file_moves_below_its_digest_and_nobody_may_write_to_it(kitchen: Kitchen) -> None:
    record = replace(kitchen.record("rcc", "one"), labels={"recipe": "rcc"}, inputs={"install.sh": "abc"})
    baked = kitchen.file("content")
    made = kitchen.library.publish(record, baked)
    file = kitchen.library.image_file(record.name)
    assert file.name == f"{record.digest}.qcow2"
    assert file.read_text() == "content"
    assert file.stat().st_mode & 0o222 == 0
    assert not baked.exists()
    assert made == replace(record, size=7, location=str(file))
    assert kitchen.again().find(record.name) == made


def test_a_second_file_of_the_same_image_is_dropped(kitchen: Kitchen) -> None:
    record = kitchen.record("rcc", "one")
    first = kitchen.library.publish(record, kitchen.file("first"))
    second = kitchen.file("second, longer")
    assert kitchen.library.publish(replace(record, created="2027-01-01T00:00:00Z"), second) == first
    assert kitchen.library.image_file(record.name).read_text() == "first"
    assert not second.exists()


def test_the_file_of_the_library_is_never_dropped_as_a_second_one(kitchen: Kitchen) -> None:
    """As when two processes make the same image join the file of its digest."""
    image = kitchen.bake("rcc", "one")
    other = replace(image, name="hpcc-1", candidate_for="hpcc")
    for _ in range(2):
        assert kitchen.library.join(other)
    assert kitchen.library.image_file("hpcc-1") == kitchen.library.image_file(image.name)
    assert kitchen.library.image_file("hpcc-1").read_text() == "one"


def test_a_file_on_another_file_system_is_copied(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == kitchen.folder.stat().st_dev:
        pytest.skip("no second file system here")
    baked = shared / f"bakery-test-{os.getpid()}.qcow2"
    baked.write_text("content")
    made = kitchen.library.publish(kitchen.record("rcc", "one"), baked)
    assert Path(made.location).read_text() == "content"
    assert not baked.exists()
    assert not list(kitchen.library.files.folder.glob(".*"))


def test_an_image_whose_file_was_taken_away_is_gone(kitchen: Kitchen) -> None:
    image = kitchen.bake("rcc", "one")
    kitchen.library.promote(image.name, "rcc")
    Path(image.location).unlink()
    assert kitchen.library.find(image.name) is None
    assert list(kitchen.library.images()) == []
    assert dict(kitchen.library.families()) == {}
    with pytest.raises(BakeryError, match=f"no image {image.name}"):
        kitchen.library.image_file(image.name)


def test_an_image_that_is_baked_again_after_its_file_went_is_a_new_candidate(kitchen: Kitchen) -> None:
    image = kitchen.bake("rcc", "one")
    kitchen.library.record_test(image.name, Proof.PASSED, "tests")
    kitchen.library.promote(image.name, "rcc")
    Path(image.location).unlink()
    again = kitchen.bake("rcc", "one")
    assert (again.name, again.family, again.proof) == (image.name, "", Proof.UNTESTED)
    assert dict(kitchen.library.families()) == {}
    assert [event["event"] for event in history(kitchen.library, "rcc")] == ["promoted", "lost"]


def cut(image: ImageRecord) -> None:
    """Take bytes from an image's file, as a disk that loses data does."""
    file = Path(image.location)
    file.chmod(0o644)
    file.write_text("o")


def test_a_file_of_the_wrong_size_is_uncertain_and_says_how_to_go_on(kitchen: Kitchen) -> None:
    image = kitchen.bake("rcc", "one")
    cut(image)
    with pytest.raises(Uncertain, match="1 bytes, it was published with 3") as raised:
        kitchen.library.find(image.name)
    assert f"rm {image.location}" in raised.value.hint


def test_a_file_of_the_wrong_size_is_reported_and_kept_while_its_image_is_active(kitchen: Kitchen) -> None:
    image, _ = kitchen.bake("rcc", "one"), kitchen.bake("hpcc", "two")
    cut(image)
    told = f"{image.location} has 1 bytes, {image.name} was published with 3; to bake it again: rm {image.location}"
    assert backend(kitchen.settings).damaged(contents=False) == repair(kitchen.library) == [told]
    assert len(kitchen.library.images()) == 2, "only what is certainly not there is gone"
    Path(image.location).unlink()
    assert kitchen.bake("rcc", "one").size == 3
    assert repair(kitchen.library) == []


def test_a_damaged_file_beside_a_lost_database_is_not_taken_for_an_image(kitchen: Kitchen) -> None:
    image = kitchen.bake("rcc", "one")
    cut(image)
    kitchen.library.database.close()
    for file in kitchen.library.database.file.parent.glob("library.sqlite*"):
        file.unlink()
    assert kitchen.again().find(image.name) is None
    again = kitchen.again().publish(kitchen.record("rcc", "one"), kitchen.file("once more"))
    assert Path(again.location).read_text() == "once more"


def test_a_damaged_image_that_nobody_needs_is_deprecated_and_its_file_removed(kitchen: Kitchen) -> None:
    image = kitchen.bake("rcc", "one")
    cut(image)
    assert kitchen.library.deprecate(image.name)
    with kitchen.library.leases.shared(image.digest):
        assert len(repair(kitchen.library)) == 1 and Path(image.location).exists(), "something may still boot from it"
    (told,) = repair(kitchen.library)
    assert told.startswith(f"removed {image.digest}.qcow2 of {image.name}")
    assert not Path(image.location).exists() and not kitchen.library.files.sidecar(image.name).exists()


def test_a_changed_content_of_the_same_size_is_found_when_asked(kitchen: Kitchen) -> None:
    image = kitchen.bake("rcc", "one")
    kitchen.bake("rcc", "two")
    ask = backend(kitchen.settings).damaged
    assert ask(contents=True) == []
    file = Path(image.location)
    file.chmod(0o644)
    file.write_text("onE")
    assert ask(contents=False) == []
    (told,) = ask(contents=True)
    assert told.startswith(f"the content of {file} has changed") and told.endswith(f"rm {file}")


def test_an_image_that_was_published_without_a_checksum_is_checked_by_qemu(kitchen: Kitchen) -> None:
    qcow2 = kitchen.folder / "image.qcow2"
    raw = kitchen.folder / "raw"
    raw.write_bytes(os.urandom(1 << 20))
    subprocess.run(["qemu-img", "convert", "-q", "-O", "qcow2", str(raw), str(qcow2)], check=True)
    image = kitchen.library.publish(kitchen.record("rcc", "one"), qcow2)
    sidecar = kitchen.library.files.sidecar(image.name)
    sidecar.write_text(re.sub(r',\s*"sha256": ".*?"', "", sidecar.read_text()))
    assert kitchen.library.files.read_sidecar(image.name) is not None
    ask = backend(kitchen.settings).damaged
    assert ask(contents=True) == []
    file = Path(image.location)
    file.chmod(0o644)
    with file.open("r+b") as content:  # the table of clusters
        content.seek(0x30000)
        content.write(os.urandom(1 << 16))
    assert len(ask(contents=True)) == 1


def test_a_damaged_database_is_uncertain_never_gone(kitchen: Kitchen) -> None:
    image = kitchen.bake("rcc", "one")
    kitchen.library.database.close()
    for file in kitchen.library.database.file.parent.glob("library.sqlite*"):
        file.unlink()
    kitchen.library.database.file.write_bytes(b"no database at all, " * 500)
    for ask in (kitchen.again().images, kitchen.again().families, lambda: kitchen.again().find(image.name)):
        with pytest.raises(Uncertain, match="damaged") as raised:
            ask()
    subprocess.run(["bash", "-c", raised.value.hint.partition("(")[2].partition(")")[0]], check=True)
    assert [image.name for image in kitchen.again().images()] == [image.name]


def test_a_connection_ends_with_its_library_not_with_the_garbage_collector(kitchen: Kitchen) -> None:
    made: list[LocalLibrary] = []
    opened: list[sqlite3.Connection] = []

    def use() -> None:
        made.append(LocalLibrary(kitchen.settings))
        with made[0].database.reading() as connection:
            opened.append(connection)

    gc.disable()
    try:
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        use()
        opened[1].execute("SELECT 1")
        made.clear()
    finally:
        gc.enable()
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def test_a_forked_child_does_not_close_the_connection_of_its_parent(kitchen: Kitchen) -> None:
    held = LocalLibrary(kitchen.settings)
    with held.database.reading() as connection:
        if (child := os.fork()) == 0:
            held.database.close()  # the test of the parent fails if this raises
            os._exit(0 if connection.execute("SELECT 1").fetchone()[0] == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert connection.execute("SELECT 1").fetchone()[0] == 1


def test_a_database_that_cannot_be_opened_is_uncertain(kitchen: Kitchen) -> None:
    kitchen.library.database.file.mkdir(parents=True)
    with pytest.raises(Uncertain, match="unable to open"):
        kitchen.library.find("rcc-000000000000")


def test_a_file_that_cannot_be_looked_at_is_uncertain(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    image = kitchen.bake("rcc", "one")
    real = Path.stat

    def refuse(path: Path, **given: bool) -> os.stat_result:
        if path.suffix == ".qcow2":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **given)

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(Uncertain, match="Permission denied"):
        kitchen.library.find(image.name)


def test_a_lost_database_is_filled_again_from_the_folder(kitchen: Kitchen) -> None:
    made = [kitchen.bake("rcc", word) for word in ("one", "two")]
    kitchen.library.database.close()
    for file in kitchen.library.database.file.parent.glob("library.sqlite*"):
        file.unlink()
    assert list(kitchen.library.images()) == made
    assert list(kitchen.again().images()) == made


def test_an_image_that_was_published_and_not_recorded_is_adopted(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = kitchen.record("rcc", "one")
    kitchen.library.files.publish(record, kitchen.file("content"))  # the process dies before the row is written
    found = kitchen.again().find(record.name)
    assert found is not None
    assert (found.digest, found.size, found.state) == (record.digest, 7, ImageState.ACTIVE)
    assert [image.name for image in kitchen.library.images()] == [record.name]


def test_a_sidecar_without_its_image_is_not_an_image(kitchen: Kitchen) -> None:
    image = kitchen.bake("rcc", "one")
    kitchen.library.files.publish(kitchen.record("rcc", "two"), kitchen.file("content"))
    for path in kitchen.library.files.folder.glob("*.qcow2"):
        if path != Path(image.location):
            path.unlink()
    assert [found.name for found in kitchen.library.images()] == [image.name]


@pytest.mark.parametrize(
    "broken", [b"", b"{", b"[]", b"\xff\xfe", b'{"version": 1}', b'{"publication": "x", "record": {}, "version": 1}']
)
def test_a_damaged_sidecar_is_no_image_and_no_traceback(kitchen: Kitchen, broken: bytes) -> None:
    record = kitchen.record("rcc", "one")
    kitchen.library.files.publish(record, kitchen.file("content"))
    kitchen.library.files.sidecar(record.name).write_bytes(broken)
    assert kitchen.library.find(record.name) is None
    assert list(kitchen.library.images()) == []


def test_two_images_with_one_digest_share_the_file(kitchen: Kitchen) -> None:
    first = kitchen.record("rcc", "one")
    second = replace(first, name="other-1", candidate_for="other")
    kitchen.library.publish(first, kitchen.file("content"))
    kitchen.library.publish(second, kitchen.file("content"))
    assert kitchen.library.image_file(first.name) == kitchen.library.image_file(second.name)
    assert len(list(kitchen.library.files.folder.glob("*.qcow2"))) == 1


def test_a_new_file_of_a_digest_proves_nothing_of_the_images_of_the_former_one(kitchen: Kitchen) -> None:
    one = kitchen.bake("rcc", "one")
    other = kitchen.library.publish(replace(one, name="twin-1", candidate_for="twin"), kitchen.file("one"))
    kitchen.library.record_test(other.name, Proof.PASSED, "t")
    kitchen.library.promote(other.name, "twin")
    Path(other.location).unlink()
    again = kitchen.bake("rcc", "one")
    assert kitchen.library.find(other.name) is None
    assert "twin" not in kitchen.library.families()
    assert [image.name for image in kitchen.library.images()] == [again.name]


@pytest.mark.parametrize("call", range(1, 5))
def test_a_full_disk_leaves_nothing_and_keeps_the_baked_file(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    kitchen.bake("rcc", "zero")
    before = sorted(path.name for path in kitchen.library.files.folder.iterdir())
    calls = 0

    def full(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(28, "No space left on device")

    record, baked = kitchen.record("rcc", "one"), kitchen.file("content")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(InfrastructureFailed, match="No space left") as raised:
            kitchen.library.publish(record, baked)
    assert "bakery prune" in raised.value.hint
    if call < 4:  # the fourth is the folder's, after the rename: the image is complete and in the library
        assert sorted(path.name for path in kitchen.library.files.folder.iterdir()) == before
        assert baked.read_text() == "content"
        assert kitchen.library.find(record.name) is None
    else:
        assert kitchen.library.find(record.name) is not None
    assert kitchen.library.publish(record, baked).name == record.name


def test_a_full_disk_below_the_database_is_said_and_the_image_adopted_later(kitchen: Kitchen) -> None:
    kitchen.bake("rcc", "zero")
    with kitchen.library.database.reading() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    record = replace(kitchen.record("rcc", "one"), inputs={f"file{i}": "x" * 64 for i in range(500)})
    with pytest.raises(InfrastructureFailed, match="no space left"):
        kitchen.library.publish(record, kitchen.file("content"))
    found = kitchen.again().find(record.name)
    assert found is not None
    assert found.inputs == record.inputs


def test_repair_clears_what_killed_processes_left(kitchen: Kitchen) -> None:
    image = kitchen.bake("rcc", "one")
    folder = kitchen.library.files.folder
    (folder / ".publishing-999999999-abc").write_text("half")
    (folder / ".writing-999999999-abc").write_text("half")
    mine = folder / f".publishing-{os.getpid()}-abc"
    mine.write_text("another process writes this now")
    also_mine = folder / f".writing-{os.getpid()}-abc"
    also_mine.write_text("and this")
    orphan = kitchen.record("rcc", "two")
    kitchen.library.files.publish(orphan, kitchen.file("content"))
    lonely = kitchen.record("rcc", "three")
    kitchen.library.files.publish(lonely, kitchen.file("content"))
    kitchen.library.files.image(lonely.digest).unlink()
    (folder / "stranger.qcow2").write_text("whose?")
    said = "\n".join(repair(kitchen.library))
    assert "removed .publishing-999999999-abc" in said
    assert f"adopted {orphan.name}" in said
    assert f"removed {lonely.name}.json" in said
    assert (folder / "stranger.qcow2").exists()
    assert "removed .writing-999999999-abc" in said
    assert mine.exists()
    assert also_mine.exists()
    assert [found.name for found in kitchen.library.images()] == [image.name, orphan.name]
    assert repair(kitchen.library) == []


def test_an_image_belongs_to_one_family(kitchen: Kitchen) -> None:
    image = kitchen.bake("rcc", "one")
    kitchen.library.promote(image.name, "rcc")
    with pytest.raises(BakeryError, match="is the image of the family rcc"):
        kitchen.library.promote(image.name, "other")


def test_what_a_family_points_at_is_not_deprecated(kitchen: Kitchen) -> None:
    image = kitchen.bake("rcc", "one")
    kitchen.library.promote(image.name, "rcc")
    assert not kitchen.library.deprecate(image.name)
    assert not kitchen.library.deprecate("x")


def test_families_keep_their_history(kitchen: Kitchen) -> None:
    first, second = kitchen.bake("rcc", "one"), kitchen.bake("rcc", "two")
    kitchen.library.record_test(first.name, Proof.PASSED, "tests")
    for image in (first, second):
        kitchen.library.promote(image.name, "rcc")
    kitchen.library.promote(second.name, "rcc")
    kitchen.library.unpromote(second.name, "rcc")
    assert [(event["event"], event["previous"], event["image"]) for event in history(kitchen.library, "rcc")] == [
        ("promoted", "", first.name),
        ("promoted", first.name, second.name),
        ("given back", second.name, ""),
    ]


def test_proofs_keep_their_history(kitchen: Kitchen) -> None:
    image = kitchen.bake("rcc", "one")
    kitchen.library.record_test(image.name, Proof.FAILED, "a")
    kitchen.library.record_test(image.name, Proof.PASSED, "b")
    with kitchen.library.database.reading() as connection:
        verdicts = connection.execute("SELECT tests_digest, proof FROM proofs ORDER BY id").fetchall()
    assert [tuple(row) for row in verdicts] == [("a", Proof.FAILED), ("b", Proof.PASSED)]
    assert kitchen.library.proofs([image]) == {image.name: "b"}


def test_bake_times_are_the_last_of_each_family(kitchen: Kitchen) -> None:
    for family, content, seconds in (("rcc", "one", 10.0), ("rcc", "two", 20.0), ("hpcc", "x", 5.0)):
        record = replace(kitchen.record(family, content), bake_seconds=seconds)
        kitchen.library.publish(record, kitchen.file(content))
    assert kitchen.library.bake_times() == {"rcc": 20.0, "hpcc": 5.0}


def run_result(image: str = "rcc-1", run_id: str = "run-1", **fields: object) -> RunResult:
    row = {
        "command_group": "hpcc",
        "execution_command": "test/hpcc.sh",
        "build_id": run_id,
        "datetime": "2026-01-01T00:00:00",
        "exit_code": 0,
        "git_sha": "abc",
        "runtime": 1.5,
        "gvnic": False,
        "stdout": "much",
        "node_count": 2,
        "gpu_type": None,
    }
    metric = Metric("hpl", "WR.*", "GFLOPS", reference=2.0, lower=-0.1)
    job = JobResult(row, (Figure(metric, 2.5, True), Figure(metric, None, False)), True, "")
    made = RunResult(run_id, image, "tests", Verdict.PASSED, "2026-01-01T00:00:00Z", (job,), {"provision": 1.5})
    return replace(made, **fields)  # type: ignore[arg-type]


def test_a_run_is_read_back_as_it_was(kitchen: Kitchen) -> None:
    result = run_result(failed_stage=Stage.JUDGE, reason="too slow", folder="/runs/1", verdict=Verdict.FAILED)
    kitchen.library.record_run(result)
    assert list(kitchen.library.runs("rcc-1")) == [replace(result, jobs=(_with_image(result.jobs[0], "rcc-1"),))]
    assert list(kitchen.library.runs("other")) == []


def _with_image(job: JobResult, image: str) -> JobResult:
    return replace(job, row={**job.row, "vm_image": image})


def test_runs_come_oldest_first_and_without_outputs_on_request(kitchen: Kitchen) -> None:
    kitchen.library.record_run(run_result(run_id="b", started="2026-01-02T00:00:00Z"))
    kitchen.library.record_run(run_result(run_id="a", started="2026-01-01T00:00:00Z"))
    found = kitchen.library.runs(outputs=False)
    assert [run.run_id for run in found] == ["a", "b"]
    assert every("stdout" not in job.row for run in found for job in run.jobs)


def test_the_same_run_again_takes_the_place_of_the_first(kitchen: Kitchen) -> None:
    kitchen.library.record_run(run_result())
    kitchen.library.record_run(run_result(verdict=Verdict.ERROR, jobs=()))
    (found,) = kitchen.library.runs()
    assert (found.verdict, found.jobs) == (Verdict.ERROR, ())


def test_app_runs_has_rcc_runs_columns_and_nothing_else(kitchen: Kitchen) -> None:
    kitchen.library.record_run(run_result())
    with kitchen.library.database.reading() as connection:
        (row,) = connection.execute("SELECT * FROM app_runs").fetchall()
    assert list(row.keys()) == [field.name for field in APP_RUNS]
    assert (row["command_group"], row["runtime"], row["node_count"], row["vm_image"]) == ("hpcc", 1.5, 2, "rcc-1")


def test_a_job_that_never_ran_is_kept_but_is_no_row_of_app_runs(kitchen: Kitchen) -> None:
    job = JobResult({"command_group": "hpcc", "execution_command": "x", "odd": [1]}, reason="never submitted")
    kitchen.library.record_run(run_result(jobs=(job,)))
    (found,) = kitchen.library.runs()
    assert found.jobs[0].reason == "never submitted"
    assert found.jobs[0].row["odd"] == [1]
    with kitchen.library.database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM app_runs").fetchone()[0] == 0


def test_an_older_database_is_brought_up_to_date_with_its_content(tmp_path: Path) -> None:
    file = tmp_path / "library.sqlite"
    old = Database(file)
    with old.writing() as connection:
        connection.execute("INSERT INTO history (family, image, previous, event, at) VALUES ('f','i','','lost','t')")
    old.close()
    new = Database(file, (*MIGRATIONS, "ALTER TABLE history ADD COLUMN by TEXT NOT NULL DEFAULT 'unknown';"))
    with new.reading() as connection:
        assert [tuple(row) for row in connection.execute("SELECT image, by FROM history")] == [("i", "unknown")]
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS) + 1
    new.close()
    with pytest.raises(Uncertain, match="newer bakery") as raised, old.reading():
        pass
    assert raised.value.hint == "update this checkout"


def test_a_migration_that_fails_leaves_the_version_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "library.sqlite"
    broken = Database(file, (*MIGRATIONS, "CREATE TABLE half (x); SELECT * FROM nowhere;"))
    with pytest.raises(Uncertain, match="nowhere"), broken.reading():
        pass
    whole = Database(file)
    with whole.reading() as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE name = 'half'").fetchall()
    whole.close()
    assert found == []


def test_a_transaction_that_fails_leaves_nothing(kitchen: Kitchen) -> None:
    with pytest.raises(ValueError, match="stop"), kitchen.library.database.writing() as connection:
        connection.execute("INSERT INTO history (family, image, previous, event, at) VALUES ('f','i','','lost','t')")
        raise ValueError("stop")
    assert history(kitchen.library, "f") == []


def test_a_transaction_that_fails_at_its_very_end_leaves_the_next_one_alone(tmp_path: Path) -> None:
    late = "CREATE TABLE a (id INTEGER PRIMARY KEY, b REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)"
    made = Database(tmp_path / "late.sqlite", (late + ";",))
    with pytest.raises(Uncertain, match="FOREIGN KEY"), made.writing() as connection:
        connection.execute("INSERT INTO a VALUES (1, 2)")
    with made.writing() as connection:
        connection.execute("INSERT INTO a VALUES (3, 3)")
    with made.reading() as connection:
        assert [row["id"] for row in connection.execute("SELECT id FROM a")] == [3]
    made.close()


def test_a_locked_database_is_uncertain(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    image = kitchen.bake("rcc", "one")
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    other = sqlite3.connect(kitchen.library.database.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(Uncertain, match="locked by another process"):
            kitchen.again().promote(image.name, "rcc")
        assert kitchen.again().find(image.name) == image  # readers continue
    finally:
        other.close()


def test_a_library_that_was_deleted_and_made_anew_is_seen(kitchen: Kitchen) -> None:
    image = kitchen.bake("rcc", "one")
    for path in sorted(kitchen.library.database.file.parent.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert kitchen.library.find(image.name) is None
    assert kitchen.bake("rcc", "one").name == image.name
