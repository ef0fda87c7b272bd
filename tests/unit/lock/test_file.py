from __future__ import annotations

from pathlib import Path

import pytest

from bakery.errors import InputError, Uncertain
from bakery.lock import file as lock_file
from bakery.lock import resolve
from bakery.lock.model import Lock, LockedBase, Place
from bakery.operations.lock import refreshed
from tests.support.plan_builders import BASE, LOCK, recipe, recipes, settings
from tests.support.root import ROOT

INDEX = b"Origin: Debian\nSuite: oldstable\nDate: Sat, 11 Jul 2026 10:07:09 UTC\nSHA256:\n"
UBUNTU = LockedBase("ubuntu", "sha256:" + "1" * 64)


class Archive:
    """A resolver with given answers."""

    def __init__(self, **families: LockedBase | Exception) -> None:
        self.families = families
        self.asked: list[str] = []

    def resolve(self, family: str, project: str) -> LockedBase:
        self.asked.append(f"{project}/{family}")
        found = self.families[family.replace("-", "_")]
        if isinstance(found, Exception):
            raise found
        return found


def test_what_is_written_is_read(tmp_path: Path) -> None:
    lock = LOCK.put(Place.GOOGLE, "p", "f", LockedBase("f-1", "id:77")).put(Place.LOCAL, "u", "u", UBUNTU)
    lock_file.write(tmp_path / "bakery.lock", lock)
    assert lock_file.read(tmp_path / "bakery.lock") == lock
    assert [entry.name for entry in tmp_path.iterdir()] == ["bakery.lock"]


def test_the_text_is_sorted_whatever_the_order() -> None:
    one = Lock().put(Place.LOCAL, "b", "x", BASE).put(Place.GOOGLE, "a", "x", BASE).put(Place.LOCAL, "a", "x", BASE)
    two = Lock().put(Place.LOCAL, "a", "x", BASE).put(Place.LOCAL, "b", "x", BASE).put(Place.GOOGLE, "a", "x", BASE)
    assert lock_file.text_of(one) == lock_file.text_of(two)


def test_no_file_is_an_empty_lock(tmp_path: Path) -> None:
    assert lock_file.read(tmp_path / "none") == Lock()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("version: 1\nlocal: [\n", 2, "invalid YAML"),
        ("", 1, "version is not 1"),
        ("version: 2\n", 1, "version is not 1"),
        ("version: 1\nmoon: {}\n", 2, "unknown place moon"),
        ("version: 1\nlocal: 3\n", 2, "local is not a mapping"),
        ("version: 1\nlocal: {a/b: {name: x}}\n", 2, "identity"),
        ("version: 1\nlocal: {a/b: {name: x, identity: 3}}\n", 2, "LockedBase.identity is int, not str"),
        ("version: 1\nlocal: {a/b: 3}\n", 2, "a/b: LockedBase is int"),
        (
            "version: 1\nlocal:\n  a/b: {name: x, identity: 'i:1'}\n  a/b: {name: y, identity: 'i:2'}\n",
            4,
            "duplicate key",
        ),
        ("version: 1\nlocal:\n  a/b:\n    name: ../x\n    identity: 'i:1'\n", 4, "invalid Compute Engine name"),
        ("version: 1\nlocal:\n  a/b:\n    name: x\n    identity: ''\n", 5, "identity is empty"),
    ],
)
def test_a_damaged_lock_says_what_and_what_to_do(tmp_path: Path, text: str, line: int, message: str) -> None:
    file = tmp_path / "bakery.lock"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        lock_file.read(file)
    (problem,) = caught.value.problems
    assert problem.line == line
    assert message in problem.message
    assert "bakery lock" in problem.hint


def test_binary_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "bakery.lock").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError):
        lock_file.read(tmp_path / "bakery.lock")


def test_a_debian_release_is_told_by_its_index() -> None:
    found = resolve.debian_base("debian-12", INDEX)
    assert found.name == "debian-12-20260711"
    assert found.identity.startswith("inrelease:")
    assert found.identity != resolve.debian_base("debian-12", INDEX + b" ").identity


@pytest.mark.parametrize("answer", [b"<html>not found</html>", b"Date: yesterday"])
def test_a_mirror_that_answers_nonsense_proves_nothing(answer: bytes) -> None:
    with pytest.raises(Uncertain, match="has no Date"):
        resolve.debian_base("debian-12", answer)


def test_an_archive_is_read_from_the_configured_mirror(tmp_path: Path) -> None:
    index = tmp_path / "dists" / "bookworm" / "InRelease"
    index.parent.mkdir(parents=True)
    index.write_bytes(INDEX)
    archive = resolve.DebianArchive(tmp_path.as_uri())
    assert archive.resolve("debian-12", "debian-cloud").name == "debian-12-20260711"
    with pytest.raises(Uncertain, match="cannot read"):
        archive.resolve("debian-13", "debian-cloud")


def test_an_archive_is_read_from_its_mirror(tmp_path: Path) -> None:
    index = tmp_path / "dists" / "bookworm" / "InRelease"
    index.parent.mkdir(parents=True)
    index.write_bytes(INDEX)
    archive = resolve.DebianArchive(mirrors={"http://archive.example/debian": tmp_path.as_uri()})
    assert archive.resolve("debian-12", "debian-cloud").name == "debian-12-20260711"
    configured = resolve.DebianArchive("http://other.example/pool", {"http://other.example": tmp_path.as_uri()})
    (tmp_path / "pool").symlink_to(tmp_path)
    assert configured.resolve("debian-12", "debian-cloud").name == "debian-12-20260711"


@pytest.mark.parametrize(("family", "project"), [("debian-12", "other"), ("rocky-linux-9", "rocky-linux-cloud")])
def test_what_has_no_local_base_says_what_has(family: str, project: str) -> None:
    with pytest.raises(InputError, match=r"no local base image .*debian-12.*Google Cloud"):
        resolve.DebianArchive().resolve(family, project)


def test_locking_adds_what_is_missing_and_keeps_what_is_unchanged() -> None:
    given = recipes(recipe("a"), recipe("b", "a"), recipe("c", "debian-13"))
    newer = LockedBase("debian-13-1", "inrelease:9")
    archive = Archive(debian_12=BASE._replace(resolved="later"), debian_13=newer)
    result = refreshed(settings(), given, LOCK, Place.LOCAL, archive)
    assert archive.asked == ["debian-cloud/debian-12", "debian-cloud/debian-13"]
    assert result.changed
    assert result.lock == LOCK.put(Place.LOCAL, "debian-cloud", "debian-13", newer)
    assert result.lines == (
        "debian-cloud/debian-12: debian-12-20300101 (unchanged)",
        "debian-cloud/debian-13: debian-13-1 (new)",
    )


def test_a_newer_base_is_a_change() -> None:
    archive = Archive(debian_12=LockedBase("debian-12-2", "inrelease:9"))
    result = refreshed(settings(), recipes(recipe("a")), LOCK, Place.LOCAL, archive)
    assert result.changed
    assert result.lines == ("debian-cloud/debian-12: debian-12-20300101 -> debian-12-2",)


def test_the_same_identity_is_none() -> None:
    result = refreshed(settings(), recipes(recipe("a")), LOCK, Place.LOCAL, Archive(debian_12=BASE))
    assert not result.changed


def test_a_family_nobody_knows_does_not_hide_the_others() -> None:
    given = recipes(recipe("a"), recipe("b", "debian-99"))
    unknown = resolve.DebianArchive()
    with pytest.raises(InputError) as caught:
        unknown.resolve("debian-99", "debian-cloud")
    result = refreshed(settings(), given, Lock(), Place.LOCAL, Archive(debian_12=BASE, debian_99=caught.value))
    assert result.lock == LOCK
    assert [problem.message for problem in result.problems] == ["no local base image for debian-cloud/debian-99"]


def test_an_uncertain_answer_changes_nothing() -> None:
    with pytest.raises(Uncertain):
        refreshed(settings(), recipes(recipe("a")), LOCK, Place.LOCAL, Archive(debian_12=Uncertain("no answer")))


def test_the_committed_lock_holds_the_dev_stacks_base() -> None:
    found = lock_file.read(ROOT / "bakery.lock")
    base = found.find(Place.LOCAL, "debian-cloud", "debian-12")
    assert base is not None
    assert base.identity.startswith("inrelease:")
