from __future__ import annotations

import os
from pathlib import Path

import pytest

from bakery.errors import InfrastructureFailed
from bakery.host import boot_files, process
from bakery.progress.activity import Activity


@pytest.mark.parametrize(("size", "words"), [(-(1 << 20), "damaged or cut off"), (0, "no kernel was found")])
def test_an_image_that_is_cut_off_is_told_before_a_machine_waits_for_its_disk(
    tmp_path: Path, size: int, words: str
) -> None:
    raw, image = tmp_path / "raw", tmp_path / "image.qcow2"
    raw.write_bytes(os.urandom(3 << 20))
    process.run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(image)])
    os.truncate(image, image.stat().st_size + size)
    with pytest.raises(InfrastructureFailed, match=words):
        boot_files.extract(image, tmp_path / "boot", Activity())


def test_a_kernel_is_found_below_a_folder_with_blanks_and_beside_words_that_are_no_utf_8(tmp_path: Path) -> None:
    boot = tmp_path / "root" / "boot" / "grub"
    boot.mkdir(parents=True)
    (boot / "grub.cfg").write_bytes(b"# caf\xe9\nlinux /vmlinuz root=LABEL=x ro\ninitrd /initrd.img\n")
    for name in ("vmlinuz", "initrd.img"):
        (tmp_path / "root" / name).write_text(name)
    raw, image = tmp_path / "raw", tmp_path / "image.qcow2"
    process.run(["mke2fs", "-q", "-t", "ext4", "-d", str(tmp_path / "root"), str(raw), "8M"])
    process.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(image)])
    found = boot_files.extract(image, tmp_path / "a checkout? yes" / "boot", Activity())
    assert found.root == "root=LABEL=x"
    assert found.kernel.read_text() == "vmlinuz"
