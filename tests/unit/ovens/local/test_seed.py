from __future__ import annotations

import io
import tarfile
from pathlib import Path

from bakery.ovens.local import seed


def test_the_seed_lets_the_builders_user_in_and_brings_begin_and_end_of_the_bake(tmp_path: Path):
    seed.make(tmp_path, "baker")
    raw = (tmp_path / "seed.tar").read_bytes()
    assert len(raw) % 512 == 0  # a disk has whole sectors
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        modes = {entry.name: entry.mode for entry in tar.getmembers()}
        apply = tar.extractfile("run/bakery/apply")
        assert apply is not None and b"user='baker'" in apply.read()
        public = tar.extractfile("run/bakery/key.pub")
        assert public is not None and public.read() == (tmp_path / "key.pub").read_bytes()
    assert modes["etc/ssh/ssh_host_ed25519_key"] == 0o600
    assert {"run/bakery/apply", "run/bakery/finish"} <= set(modes)
    assert (tmp_path / "key").stat().st_mode & 0o77 == 0


def test_every_bake_has_keys_of_its_own(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        seed.make(tmp_path / name, "baker")
    assert (tmp_path / "a" / "key").read_bytes() != (tmp_path / "b" / "key").read_bytes()
    assert (tmp_path / "a" / "host_key").read_bytes() != (tmp_path / "b" / "host_key").read_bytes()
