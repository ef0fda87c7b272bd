from __future__ import annotations

import threading
from pathlib import Path

from bakery.host import cgroups


def test_listed_groups_go_with_all_below_them(tmp_path: Path) -> None:
    """Folders stand for groups: both are removed with rmdir(2), the deepest first."""
    group, other = tmp_path / "bakery-1", tmp_path / "other"
    for folder in (group / "payload/system.slice/ssh.service", group / "supervisor", other):
        folder.mkdir(parents=True)
    listing = tmp_path / "listing"
    listing.write_text(f"{group}\n{tmp_path / 'gone already'}\n")
    cgroups.remove(listing)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["listing", "other"]


def test_a_group_in_use_stays(tmp_path: Path) -> None:
    """A group with processes can't be removed; a folder with a file behaves as it does."""
    (tmp_path / "bakery-1/payload").mkdir(parents=True)
    (tmp_path / "bakery-1/payload/busy").touch()
    (tmp_path / "listing").write_text(f"{tmp_path / 'bakery-1'}\n")
    cgroups.remove(tmp_path / "listing", seconds=0.1)
    assert (tmp_path / "bakery-1/payload/busy").exists()


def test_processes_that_were_killed_have_time_to_end(tmp_path: Path) -> None:
    busy = tmp_path / "bakery-1/payload/busy"
    busy.parent.mkdir(parents=True)
    busy.touch()
    (tmp_path / "listing").write_text(f"{tmp_path / 'bakery-1'}\n")
    ending = threading.Timer(0.2, busy.unlink)
    ending.start()
    cgroups.remove(tmp_path / "listing", seconds=60)
    ending.join()
    assert not (tmp_path / "bakery-1").exists()


def test_no_listing_means_no_groups(tmp_path: Path) -> None:
    cgroups.remove(tmp_path / "listing")
    assert list(tmp_path.iterdir()) == []
