from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bakery.host import locks
from bakery.ovens.local import scratch
from bakery.paths import StatePaths


@pytest.fixture
def state(tmp_path: Path) -> StatePaths:
    return StatePaths(tmp_path)


def dead(work: Path) -> None:
    """Make the folder that of a process that is gone."""
    owner = locks.owner(work)
    assert owner is not None
    (work / locks.OWNER_FILE).write_text(json.dumps(asdict(replace(owner, boot="an earlier one"))))


def test_a_folder_goes_when_its_bake_ends_however_it_ends(state: StatePaths):
    with pytest.raises(RuntimeError), scratch.folder(state, "a-1") as work:
        assert work.stat().st_mode & 0o777 == 0o700, "keys are nobody else's to read"
        raise RuntimeError
    assert not work.exists()


def test_what_a_living_process_bakes_is_left_alone_and_what_a_dead_one_left_goes(state: StatePaths):
    with scratch.folder(state, "a-1") as living, scratch.folder(state, "b-1") as other:
        dead(other)
        assert scratch.clear(state) == [f"cleared what a killed bake had left ({other.name})"]
        assert living.exists() and not other.exists()


def test_a_folder_that_nobody_signed_is_a_leftover_once_its_maker_had_the_time_to(state: StatePaths):
    folder = state.work / "bake-a-1-00000000"
    folder.mkdir(parents=True)
    assert scratch.clear(state) == []
    os.utime(folder, (0, 0))
    assert len(scratch.clear(state)) == 1


def test_the_rest_of_a_folder_whose_deletion_was_cut_short_goes_at_once(state: StatePaths, tmp_path: Path):
    code = (
        "import os, shutil, sys\nfrom pathlib import Path\nfrom bakery.host import files\n"
        "shutil.rmtree = lambda *_, **__: os.kill(os.getpid(), 9)\nfiles.discard(Path(sys.argv[1]))"
    )
    with scratch.folder(state, "a-1") as work:
        (work / "key").touch()
        subprocess.run([sys.executable, "-c", code, work], check=False)
        assert not work.exists()
    (rest,) = state.work.iterdir()
    assert scratch.clear(state) == [f"cleared what a killed process had begun to delete ({rest.name})"]
    assert list(state.work.iterdir()) == []


def test_a_failed_bake_keeps_what_its_replay_needs_until_the_next_bake_of_that_image(state: StatePaths):
    with scratch.folder(state, "a-1") as work:
        (work / "output").mkdir()
        (work / "packer.json").touch()
        (work / "flat.qcow2").touch()
        scratch.keep(work)
    assert sorted(path.name for path in work.iterdir()) == ["kept", "owner.json", "packer.json"]
    assert scratch.clear(state) == [] and work.exists()
    with scratch.folder(state, "a-10"):
        assert work.exists()
    with scratch.folder(state, "a-1"):
        assert not work.exists()


def test_a_machine_that_was_left_up_is_ended_and_nobody_else(state: StatePaths):
    with scratch.folder(state, "a-1") as work:
        pass
    work.mkdir()
    # A process whose command line looks like that of the machine of this folder.
    line = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)", "qemu", str(work)]
    with (
        subprocess.Popen(line, stdout=subprocess.PIPE) as machine,
        subprocess.Popen([*line[:3], "qemu", "/elsewhere"]) as stranger,
    ):
        assert machine.stdout and machine.stdout.readline(), "until it runs, it has no command line"
        scratch.keep(work, stranger.pid)
        assert scratch.clear(state) == []
        scratch.keep(work, machine.pid)
        assert scratch.clear(state) == [f"ended the machine that a failed bake had left up ({work.name})"]
        assert machine.wait(5) != 0
        assert stranger.poll() is None
        stranger.kill()
    assert not work.exists()


def test_the_control_groups_of_a_killed_bake_go_too(state: StatePaths, tmp_path: Path) -> None:
    group = tmp_path / "bakery-1"
    (group / "payload").mkdir(parents=True)
    with scratch.folder(state, "a-1") as work:
        (work / scratch.CGROUPS).write_text(f"{group}\n")
        dead(work)
        assert scratch.clear(state) == [f"cleared what a killed bake had left ({work.name})"]
    assert not group.exists()
