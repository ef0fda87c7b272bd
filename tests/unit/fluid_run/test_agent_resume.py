"""A machine that waits for its identity, and what it changes when it gets one."""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
from pathlib import Path

import pytest

from bakery.fluid_run.agent import resume, wire
from bakery.fluid_run.clusters import mailbox

IDENTITY = {"name": "debug-0", "mac": "52:01:02:03:04:0b", "machine_id": "a" * 32, "entropy": "eA==", "time": 1.5}


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "O_DIRECT", 0)  # some file systems have none
    monkeypatch.setattr(resume, "POLL_SECONDS", 0.001)
    file = tmp_path / "m.out"
    mailbox.make_disk(file)
    return file


def test_it_waits_until_the_host_has_written_an_identity(disk: Path) -> None:
    def give() -> None:
        time.sleep(0.05)
        mailbox.give_identity(disk, IDENTITY)

    writer = threading.Thread(target=give)
    writer.start()
    assert resume.wait_for_identity(disk) == IDENTITY
    writer.join()
    assert mailbox.read_disk(disk) is None, "it is no status"


def test_an_identity_does_not_disturb_the_statuses(disk: Path) -> None:
    mailbox.give_identity(disk, IDENTITY)
    status = resume.DiskMailbox(disk)
    for number in range(3):
        status.send_status({"number": number})
    assert mailbox.read_disk(disk) == {"number": 2}
    assert resume.wait_for_identity(disk) == IDENTITY


def test_random_bytes_count_and_are_used_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(fcntl, "ioctl", lambda _file, *words: asked.append(words))
    resume.add_entropy(b"x" * 64, tmp_path / "random")
    # struct rand_pool_info of include/uapi/linux/random.h: bits, bytes, content
    assert asked == [(0x40085203, struct.pack("ii", 512, 64) + b"x" * 64), (0x5207,)]


def test_only_a_card_of_a_machine_that_waits_gets_another_address(tmp_path: Path) -> None:
    file = tmp_path / "address"
    file.write_text(f"{wire.WAITING_MAC}\n")
    assert resume.is_waiting(file)
    file.write_text("52:01:02:03:04:0b\n")
    assert not resume.is_waiting(file)
    assert int(wire.WAITING_MAC[:2], 16) & 3 == 2, "it is local and of one card"
