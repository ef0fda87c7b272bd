"""What a machine sends is unpacked below its folder and nowhere else, as far as it goes."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from bakery.fluid_run.agent import wire
from bakery.fluid_run.clusters import mailbox


def packed(*members: tuple[str, bytes | None]) -> bytes:
    """A tar of files; a member without content is a link to /etc."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content or b"")
            if content is None:
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc"
            tar.addfile(entry, io.BytesIO(content or b""))
    return sink.getvalue()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_only_files_below_the_folder_are_unpacked(tmp_path: Path) -> None:
    tar = packed(
        ("outputs/a b/ü%s", b"kept"),
        ("/absolute", b"bad"),
        ("../above", b"bad"),
        ("outputs/../../above", b"bad"),
        ("outputs/link", None),
        ("outputs/large", b"x" * 300_000),
    )
    mailbox.unpack(io.BytesIO(tar), tmp_path / "run")
    assert files(tmp_path) == {"run/outputs/a b/ü%s": b"kept", "run/outputs/large": b"x" * 300_000}


def test_a_torn_end_loses_only_what_comes_after_it(tmp_path: Path) -> None:
    disk = tmp_path / "out"
    mailbox.make_disk(disk)
    mailbox.unpack_disk(disk, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    tar = packed(("first", b"whole"), ("second", b"y" * 5000), ("third", b"lost"))
    with disk.open("r+b") as file:
        file.seek(wire.RESULTS_AT)
        file.write(tar[:4000])
        file.truncate()
    mailbox.unpack_disk(disk, tmp_path / "run")
    assert files(tmp_path / "run")["first"] == b"whole"
    assert b"the results end early" in files(tmp_path / "run")["torn.txt"]
