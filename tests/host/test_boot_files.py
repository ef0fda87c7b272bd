from __future__ import annotations

import os
from pathlib import Path

import pytest

from bakery.activity import Activity
from bakery.errors import InfrastructureFailed
from bakery.host import boot_files, process


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
