"""What a killed run left over is cleared, and nothing that may still be somebody's."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bakery import backends
from bakery.errors import BakeryError, InputError
from bakery.library.base import ImageRecord, Want
from bakery.library.local.library import LocalLibrary
from bakery.operations import file_backend
from bakery.operations.file_backend import StackState
from bakery.operations.recover import finished, recover, withdraw
from bakery.settings import Settings

HERE = "this-machine"
DEAD = 4194304 + 7  # above the largest process id there is


def state(backend: Path) -> StackState:
    return StackState(backend, "image-bakery", "dev")


def lock(backend: Path, pid: int, host: str = HERE, name: str = "a") -> Path:
    folder = backend / ".pulumi" / "locks" / "organization" / "image-bakery" / "dev"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"pid": pid, "hostname": host, "username": "u"}), encoding="utf-8")
    return file


def test_the_lock_of_a_dead_engine_is_cleared(tmp_path: Path) -> None:
    file = lock(tmp_path, DEAD)
    waited: list[float] = []
    said, free = file_backend.clear_locks(state(tmp_path), HERE, waited.append)
    assert not file.exists() and waited == []
    assert free
    assert str(DEAD) in said[0]


def test_the_lock_of_another_machine_stays(tmp_path: Path) -> None:
    file = lock(tmp_path, DEAD, "other")
    assert file_backend.clear_locks(state(tmp_path), HERE) == ([], False)
    assert file.exists()


def test_a_lock_that_stays_keeps_no_other(tmp_path: Path) -> None:
    kept = lock(tmp_path, DEAD, "other", "a")
    kept.with_name(f"{kept.name}.attrs").write_text("{}", encoding="utf-8")
    gone = lock(tmp_path, DEAD, name="b")
    said, free = file_backend.clear_locks(state(tmp_path), HERE)
    assert (len(said), free) == (1, False)
    assert kept.exists() and not gone.exists()


def test_what_can_not_be_opened_is_left_alone_and_keeps_no_other(tmp_path: Path) -> None:
    gone = lock(tmp_path, DEAD, name="b")
    closed = gone.with_name("a.json")
    closed.mkdir()
    said, _ = file_backend.clear_locks(state(tmp_path), HERE)
    assert closed.exists() and not gone.exists()
    assert len(said) == 1


def engine(proc: Path, backend: str, state: str = "S", name: str = "pulumi") -> None:
    """A process 77 as /proc shows it."""
    folder = proc / "77"
    folder.mkdir(parents=True)
    (folder / "stat").write_bytes(f"77 ({name}) {state} 1 77 77 0 -1{20 * ' 0'}".encode(errors="surrogateescape"))
    (folder / "environ").write_bytes(f"A=b\0PULUMI_BACKEND_URL={backend}\0HOME=/".encode())


def stale(folder: Path) -> bool:
    return file_backend.EngineLock(folder, 77, HERE).stale(HERE, folder / "a b", folder / "proc")


@pytest.mark.parametrize(
    "backend", ["file://{}/a b", "file://{}/a%20b", "file://{}/link", "file://./a b", "file:a b", "", "s3://bucket"]
)
def test_the_lock_of_a_living_engine_stays(tmp_path: Path, backend: str) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "link").symlink_to("a b")
    engine(tmp_path / "proc", backend.format(tmp_path))
    assert not stale(tmp_path)
    assert not file_backend.EngineLock(tmp_path, 77, HERE).stale(HERE, tmp_path / "link", tmp_path / "proc")


def test_the_lock_of_a_living_engine_of_the_home_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    engine(tmp_path / "proc", "file://~/a b")
    assert not stale(tmp_path)


def test_the_lock_of_a_process_that_may_not_be_looked_into_stays(tmp_path: Path) -> None:
    engine(tmp_path / "proc", "")
    environ = tmp_path / "proc" / "77" / "environ"
    environ.unlink()
    environ.mkdir()  # no file: can't be read, whoever asks, root too
    assert not stale(tmp_path)


@pytest.mark.parametrize("state", ["Z", "X"])
def test_the_lock_of_an_engine_that_nobody_has_collected_is_stale(tmp_path: Path, state: str) -> None:
    engine(tmp_path / "proc", f"file://{tmp_path}/a b", state=state)
    assert stale(tmp_path)


def test_a_process_id_that_another_checkouts_engine_has_now_holds_nothing(tmp_path: Path) -> None:
    engine(tmp_path / "proc", f"file://{tmp_path}/other")
    assert stale(tmp_path)


def test_a_process_id_that_was_used_again_holds_nothing(tmp_path: Path) -> None:
    engine(tmp_path / "proc", f"file://{tmp_path}/a b", name="a (\udcff) b")
    assert stale(tmp_path)


@pytest.mark.parametrize("text", ["", '{"pid": 7', "[]", '{"pid": "x"}'])
@pytest.mark.parametrize("name", ["a.json", "a.json.tmp1234"])
def test_half_a_lock_is_cleared_when_nobody_writes_it_any_more(tmp_path: Path, text: str, name: str) -> None:
    file = lock(tmp_path, DEAD).with_name(name)
    file.write_text(text, encoding="utf-8")
    waited: list[float] = []
    said, free = file_backend.clear_locks(state(tmp_path), HERE, waited.append)
    assert waited and free and not file.exists()
    assert any(name in line for line in said)


def test_what_the_storage_keeps_beside_a_lock_goes_with_it_and_never_before(tmp_path: Path) -> None:
    file = lock(tmp_path, DEAD, "other")
    beside = file.with_name(f"{file.name}.attrs")
    beside.write_text('{"user.content_type": "text/plain"}', encoding="utf-8")
    assert file_backend.clear_locks(state(tmp_path), HERE) == ([], False)
    assert beside.exists()
    lock(tmp_path, DEAD)
    assert len(file_backend.clear_locks(state(tmp_path), HERE)[0]) == 1
    assert not beside.exists()


def test_a_lock_that_was_just_being_written_stays(tmp_path: Path) -> None:
    file = lock(tmp_path, DEAD)
    whole = file.read_text(encoding="utf-8").replace(HERE, "other")
    file.write_text("{", encoding="utf-8")

    def finish(_seconds: float) -> None:
        file.write_text(whole, encoding="utf-8")

    assert file_backend.clear_locks(state(tmp_path), HERE, finish) == ([], False)
    assert file.exists()


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("file:///a/b", Path("/a/b")),
        ("file:///a%25b/%23", Path("/a%b/#")),
        ("file://./a/b", Path("a/b")),
        ("file://~/a", Path.home() / "a"),
        ("file://~", Path.home()),
        ("file://", None),
        ("/a/b", None),
        ("s3://bucket", None),
        ("", None),
        ("https://api.pulumi.com", None),
    ],
)
def test_only_a_file_backend_is_looked_into(url: str, folder: Path | None) -> None:
    assert file_backend.backend_folder(url) == folder


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("pending", [False, True])
def test_pending_operations_are_seen_without_an_engine(tmp_path: Path, packed: bool, pending: bool) -> None:
    operation = {"type": "creating", "resource": {"urn": "urn:pulumi:dev::p::t::hpcc"}}
    latest = {"pending_operations": [operation]} if pending else {}
    data = json.dumps({"checkpoint": {"latest": latest}}).encode()
    folder = tmp_path / ".pulumi" / "stacks" / "image-bakery"
    folder.mkdir(parents=True)
    (folder / ("dev.json.gz" if packed else "dev.json")).write_bytes(gzip.compress(data) if packed else data)
    assert file_backend.pending(file_backend.stored(state(tmp_path))) == (["creating t hpcc"] if pending else [])


def test_no_state_has_nothing_pending(tmp_path: Path) -> None:
    assert file_backend.pending(file_backend.stored(state(tmp_path))) == []


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:40], lambda data: data[:20] + b"\xff\xff" + data[22:], lambda _: b""]
)
def test_a_damaged_state_is_the_engines_to_tell(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    folder = tmp_path / ".pulumi" / "stacks" / "image-bakery"
    folder.mkdir(parents=True)
    data = gzip.compress(json.dumps({"checkpoint": {"latest": {"resources": ["x"] * 99}}}).encode())
    (folder / "dev.json.gz").write_bytes(spoil(data))
    assert file_backend.stored(state(tmp_path)) == {}


CHECKPOINT = '{"version": 3, "checkpoint": {"latest": {"resources": []}}}'
COPIES = (
    "stacks/image-bakery/dev.json.bak",
    "backups/image-bakery/dev/dev.1.json",
    "backups/image-bakery/dev/dev.2.json",
)
COPIES += ("history/image-bakery/dev/dev-3.checkpoint.json",)


@pytest.mark.parametrize("intact", [*range(len(COPIES)), None])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_state_that_a_full_disk_cut_short_is_restored(tmp_path: Path, intact: int | None, suffix: str) -> None:
    folder = tmp_path / ".pulumi"

    def write(path: str, text: str, at: int) -> Path:
        head, point, bak = path.partition(".bak")
        file = folder / f"{head}{suffix}{point}{bak}"
        file.parent.mkdir(parents=True, exist_ok=True)
        data = text.encode()
        file.write_bytes(gzip.compress(data) if suffix and text else data)
        os.utime(file, (at, at))
        return file

    damaged = write("stacks/image-bakery/dev.json", CHECKPOINT[:20], 0)
    for number, path in enumerate(COPIES):
        write(path, CHECKPOINT if number == intact else CHECKPOINT[:9], number)
        if number == 1 and intact == 2:
            write(path, CHECKPOINT.replace("3", "2"), number)  # an older one, which can be read too
    (told,) = file_backend.restore(state(tmp_path))
    assert (" from " in told) is (intact is not None)
    data = damaged.read_bytes()
    restored = json.loads(gzip.decompress(data) if suffix else data)
    if intact is None:
        assert restored["checkpoint"] == {"stack": "organization/image-bakery/dev", "latest": None}
    else:
        assert restored == json.loads(CHECKPOINT)
    assert file_backend.restore(state(tmp_path)) == []


@pytest.mark.parametrize("name", ["stacks/image-bakery/dev.json", "stacks/image-bakery/dev.json.bak", "meta.yaml"])
@pytest.mark.parametrize("text", ["", '{"user.content_type":'])
def test_attributes_that_a_kill_cut_short_are_cleared(tmp_path: Path, name: str, text: str) -> None:
    for one in ("stacks/image-bakery/dev.json", "stacks/image-bakery/dev.json.bak", "meta.yaml"):
        file = tmp_path / ".pulumi" / f"{one}.attrs"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}", encoding="utf-8")
    damaged = tmp_path / ".pulumi" / f"{name}.attrs"
    damaged.write_text(text, encoding="utf-8")
    (said,) = file_backend.clear_attributes(state(tmp_path))
    assert damaged.name.removesuffix(".attrs") in said
    assert not damaged.exists()
    assert len(list(tmp_path.rglob("*.attrs"))) == 2
    assert file_backend.clear_attributes(state(tmp_path)) == []


def test_no_state_and_one_that_cannot_be_opened_are_left_alone(tmp_path: Path) -> None:
    assert file_backend.restore(state(tmp_path)) == []
    folder = tmp_path / ".pulumi" / "stacks" / "image-bakery" / "dev.json"
    folder.mkdir(parents=True)
    assert file_backend.restore(state(tmp_path)) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"checkpoint": {}}', '{"checkpoint": {"latest": null}}'])
def test_a_damaged_state_has_nothing_pending(tmp_path: Path, text: str) -> None:
    file = tmp_path / ".pulumi" / "stacks" / "image-bakery" / "dev.json"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    assert file_backend.pending(file_backend.stored(state(tmp_path))) == []


STACK = {"urn": "s", "type": "pulumi:pulumi:Stack"}
PROVIDER = {"urn": "p", "parent": "s"}
IMAGE = {"urn": "a", "parent": "s", "provider": "p::1", "dependencies": [], "propertyDependencies": {"name": None}}


@pytest.mark.parametrize(
    "reference",
    [
        {"dependencies": ["a"]},
        {"parent": "a"},
        {"provider": "a::1"},
        {"deletedWith": "a"},
        {"propertyDependencies": {"name": ["a"]}},
    ],
)
def test_a_state_that_the_engine_refuses_is_seen_without_it(reference: dict[str, object]) -> None:
    other = {"urn": "b", **reference}
    assert not file_backend.broken({"resources": [STACK, PROVIDER, IMAGE, other]})
    assert file_backend.broken({"resources": [STACK, PROVIDER, other, IMAGE]})
    assert file_backend.broken({"resources": [STACK, PROVIDER, other]})


def test_an_empty_state_is_valid() -> None:
    assert not file_backend.broken({}) and not file_backend.broken({"resources": None})


def checkout(folder: Path, project: str = "image-bakery") -> Path:
    """A checkout whose state folder is on a disk of its own, and a state with an image in it."""
    (folder / "Pulumi.yaml").write_text(f"name: {project}\n")
    (folder / "Pulumi.dev.yaml").write_text(f"config: {{{project}:oven: fake, {project}:state: disk}}\n")
    stacks = folder / "backend" / ".pulumi" / "stacks" / project
    stacks.mkdir(parents=True)
    image = {"urn": "a", "type": "pulumi-python:dynamic/bakery:BakedImage", "outputs": {"name": "a-1"}}
    latest = {"checkpoint": {"latest": {"resources": [image]}}}
    (stacks / "dev.json").write_text(json.dumps(latest), encoding="utf-8")
    return folder


def test_an_empty_mount_point_is_not_a_library_that_lost_its_images(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    assert list(recover(root, "dev", f"file://{root}/backend")) == [], (
        "a new folder: the next up makes the images there"
    )
    (root / "disk").mkdir(exist_ok=True)
    assert list((root / "disk").iterdir()) == []
    with pytest.raises(BakeryError, match="is a disk not mounted") as caught:
        list(recover(root, "dev", f"file://{root}/backend"))
    assert f"mkdir -p {root}/disk/library" in caught.value.hint


def test_an_empty_stack_needs_no_library(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    assert list(recover(root, "other", f"file://{root}/backend")) == []


@pytest.mark.parametrize("stack", ["organization/bakery/dev", "bakery/dev", "dev"])
def test_a_stack_is_found_by_its_full_name_and_its_project(tmp_path: Path, stack: str) -> None:
    root = checkout(tmp_path, "bakery")
    held = root / "backend" / ".pulumi" / "locks" / "organization" / "bakery" / "dev"
    held.mkdir(parents=True)
    (held / "a.json").write_text(json.dumps({"pid": 7, "hostname": "other"}), encoding="utf-8")
    with pytest.raises(BakeryError, match="an engine works on stack"):
        list(recover(root, stack, f"file://{root}/backend"))


def test_a_stack_of_another_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a stack of another project"):
        list(recover(checkout(tmp_path), "organization/other/dev", f"file://{tmp_path}/backend"))


# -- operations that were cut short


def operation(kind: str, what: str = "creating") -> dict[str, Any]:
    values = {"name": "a-1", "family": "a", "image": "a-1"}
    resource = {"urn": f"urn:pulumi:dev::p::t:{kind}::a", "type": f"t:{kind}", "inputs": values, "custom": True}
    return {"type": what, "resource": resource}


@pytest.fixture
def library(make_settings: Callable[..., Settings], tmp_path: Path) -> LocalLibrary:
    """A library with an image that one stack wants."""
    made = LocalLibrary(make_settings())
    (tmp_path / "image").write_text("1", encoding="utf-8")
    made.publish(ImageRecord("a-1", "1" * 64, "a", "", "a", "2029-01-01T00:00:00Z"), tmp_path / "image")
    made.want(Want("p/dev", "a", "a-1", "t"))
    return made


def test_what_an_operation_has_done_becomes_a_resource(library: LocalLibrary) -> None:
    baked = finished(operation("BakedImage"), library, "p/dev")
    assert baked is not None and (baked["id"], baked["custom"]) == ("a-1", True)
    assert baked["outputs"]["outcome"] == "baked"
    promoted = finished(operation("PromotedImage"), library, "p/dev")
    assert promoted is not None and promoted["id"] == "a"
    assert promoted["outputs"]["token"] == "t"


@pytest.mark.parametrize(
    ("kind", "what", "owner"),
    [
        ("FluidRunTest", "creating", "p/dev"),
        ("PromotedImage", "updating", "p/dev"),
        ("PromotedImage", "creating", "p/other"),
    ],
)
def test_other_operations_are_repeated(library: LocalLibrary, kind: str, what: str, owner: str) -> None:
    assert finished(operation(kind, what), library, owner) is None


def test_an_operation_without_its_image_is_repeated(library: LocalLibrary) -> None:
    library.image_file("a-1").unlink()
    assert finished(operation("BakedImage"), library, "p/dev") is None
    assert finished(operation("BakedImage"), None, "p/dev") is None
    library.database.close()
    library.database.file.write_bytes(b"damaged")
    assert finished(operation("PromotedImage"), library, "p/dev") is None


def test_a_channel_that_is_withdrawn_gives_up_its_own_image(
    library: LocalLibrary, make_settings: Callable[..., Settings]
) -> None:
    """Also one that its family does not point at: no other resource stands for it."""
    chosen = backends.backend(make_settings())
    stable, next_ = (library.derive("a-1", family) for family in ("a-stable", "a-next"))
    library.promote(stable, "a-stable", Want("p/dev", "a-stable", stable, "t"))
    library.want(Want("p/dev", "a-next", next_, "t"))  # the promotion failed
    assert withdraw(chosen, "p/dev", "a-stable") == "a-stable now points at no image"
    assert withdraw(chosen, "p/dev", "a-next") == "did not change a-next: it points at another image"
    assert withdraw(chosen, "p/dev", "a") == "did not change a: it points at another image"
    states = {image.name: image.state for image in library.images()}
    assert states == {"a-1": "ACTIVE", stable: "DEPRECATED", next_: "DEPRECATED"}
    with pytest.raises(BakeryError, match="the stack p/dev has not registered the family a-next"):
        withdraw(chosen, "p/dev", "a-next")
