from __future__ import annotations

import struct
from pathlib import Path

import pytest

from bakery.ovens.local import boot_disk
from bakery.ovens.local.boot_disk import OFFSET, make_bootable


def test_label_boot_code_and_core_stand_where_a_bios_and_grub_look(tmp_path: Path):
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as disk:
        disk.truncate(OFFSET + (8 << 20))
    boot, core = b"\xeb" * 512, b"core" * 300
    make_bootable(raw, boot, core, 0x12345678)
    head = raw.read_bytes()[: OFFSET + 4]
    assert head[:440] == boot[:440]
    assert struct.unpack_from("<I", head, 440)[0] == 0x12345678
    assert head[446] == 0x80 and head[450] == 0x83
    assert struct.unpack_from("<II", head, 454) == (OFFSET // 512, (8 << 20) // 512)
    assert head[462:510] == bytes(48) and head[510:512] == b"\x55\xaa"
    assert head[512 : 512 + len(core)] == core


def test_uefi_boots_from_a_second_partition_before_the_file_system(tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as disk:
        disk.truncate(64 << 20)
    make_bootable(raw, b"", b"", 1)
    head = raw.read_bytes()[:512]
    first, second = (struct.unpack_from("<B3sB3sII", head, 446 + 16 * number) for number in range(2))
    behind = boot_disk.BEHIND_UEFI // 512
    assert (first[2], first[4], first[5]) == (0x83, behind, (64 << 20) // 512 - behind)
    assert (second[2], second[4], second[5]) == (0xEF, OFFSET // 512, behind - OFFSET // 512)
    assert head[:440] == bytes(440) and head[510:] == b"\x55\xaa"


def test_a_core_that_would_reach_into_the_file_system_is_refused(tmp_path: Path):
    raw = tmp_path / "disk.raw"
    raw.write_bytes(bytes(OFFSET))
    with pytest.raises(ValueError, match="does not fit"):
        make_bootable(raw, b"", bytes(OFFSET), 0)


def test_a_disk_grows_with_its_partition_and_never_shrinks(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(4 << 20))
    boot_disk.make_bootable(raw, bytes(boot_disk.BOOT_CODE), b"", 1)
    assert boot_disk.grow(raw, 8 << 20)
    assert raw.stat().st_size == 8 << 20
    assert raw.read_bytes()[:512] == boot_disk.label(bytes(boot_disk.BOOT_CODE), 2048, (7 << 20) // 512, 1)
    assert not boot_disk.grow(raw, 4 << 20)
    assert raw.stat().st_size == 8 << 20
