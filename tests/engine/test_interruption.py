"""Ctrl-C, killed engines and killed plugins: nothing is half done, nothing is left running, the next up goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bakery.host import guard
from tests.support.workshop import ROOT, Workshop, alive, below, interrupt, wait_for


@pytest.fixture
def slow(workshop: Workshop) -> Workshop:
    """Two images whose bakes take longer than any test."""
    workshop.recipe("one")
    workshop.recipe("two")
    workshop.fake = {"seconds": 600}
    return workshop


def baking(workshop: Workshop) -> subprocess.Popen[str]:
    """An ``up`` in the middle of both bakes."""
    engine = workshop.start("up", "--yes", "--skip-preview")
    wait_for(lambda: workshop.bake_logs() == 2)
    time.sleep(0.5)
    return engine


def recovery(workshop: Workshop) -> subprocess.CompletedProcess[str]:
    """What ``make up`` does first."""
    return subprocess.run(
        [sys.executable, "-c", "from bakery.cli.app import main; main()", "recover", "--stack", workshop.stack],
        cwd=workshop.folder,
        env=workshop.env,
        capture_output=True,
        text=True,
        check=False,
    )


def recover(workshop: Workshop) -> str:
    """What it says that it cleared, on a stack where nobody works."""
    done = recovery(workshop)
    assert done.returncode == 0, done.stderr
    return done.stdout


def goes_on(workshop: Workshop) -> None:
    workshop.fake = {}
    workshop.must_up()
    assert set(workshop.families()) == {"one", "two"}


def test_the_first_ctrl_c_ends_running_bakes_in_seconds(slow: Workshop) -> None:
    engine = baking(slow)
    began = time.monotonic()
    interrupt(engine)
    text = engine.communicate(timeout=60)[0]
    assert time.monotonic() - began < 15
    assert engine.returncode != 0
    assert text.count("nothing is lost") >= 2
    assert "Traceback" not in text
    assert "one-" in text
    assert slow.pending() == []
    assert list((slow.folder / ".bakery" / "work").glob("bake-*")) == []
    assert slow.library.images() == []
    goes_on(slow)


def test_a_killed_engine_takes_its_plugin_with_it_and_recover_clears_the_rest(slow: Workshop) -> None:
    engine = baking(slow)
    # Pulumi's own language host looks after the engine every five minutes only; it does nothing until then.
    plugins = [pid for pid in below(engine.pid) if "pulumi-language-python " not in command_line(pid)]
    assert any("pulumi.dynamic" in command_line(pid) for pid in plugins)
    os.kill(engine.pid, signal.SIGKILL)
    engine.communicate()
    wait_for(lambda: not any(alive(pid) for pid in plugins), 30)
    assert slow.up().code != 0, "the lock of the dead engine holds"
    said = recover(slow)
    assert "cleared the lock" in said
    assert "BakedImage one" in said
    assert slow.pending() == []
    assert recover(slow) == ""
    goes_on(slow)


def guarded(workshop: Workshop) -> subprocess.Popen[str]:
    """The same ``up`` as the Makefile starts it."""
    workshop.configure()
    engine = subprocess.Popen(
        [
            sys.executable,
            "-I",
            "-S",
            guard.__file__,
            "--foreground",
            *workshop.command("up", "--yes", "--skip-preview"),
        ],
        **{"cwd": workshop.folder, "env": workshop.env, "start_new_session": True, "text": True},
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT},
    )
    wait_for(lambda: workshop.bake_logs() == 2)
    return engine


def test_signals_for_the_whole_group_stop_the_engine_of_make_as_one_ctrl_c_does(slow: Workshop) -> None:
    engine = guarded(slow)
    everything = below(engine.pid)
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):  # timeout(1), make, and an impatient CI
        os.killpg(engine.pid, number)
        time.sleep(0.2)
    text = engine.communicate(timeout=60)[0]
    assert engine.returncode != 0 and text.count("nothing is lost") >= 2
    assert slow.pending() == []
    assert [command_line(pid) for pid in everything if alive(pid)] == []
    goes_on(slow)


def test_a_killed_engine_of_make_leaves_no_process(slow: Workshop) -> None:
    running = guarded(slow)
    everything = below(running.pid)
    assert any("pulumi-language-python " in command_line(pid) for pid in everything)
    os.kill(everything[0], signal.SIGKILL)
    running.communicate(timeout=60)
    assert [command_line(pid) for pid in everything if alive(pid)] == []
    recover(slow)
    assert slow.pending() == []


def test_a_killed_plugin_fails_the_bake_and_leaves_nothing(slow: Workshop) -> None:
    engine = baking(slow)
    plugins = [pid for pid in below(engine.pid) if "pulumi.dynamic" in command_line(pid)]
    for pid in plugins:
        os.kill(pid, signal.SIGKILL)
    assert plugins
    engine.communicate(timeout=60)
    assert engine.returncode != 0
    recover(slow)
    assert slow.pending() == []
    goes_on(slow)


def test_recover_leaves_the_lock_of_a_living_engine(slow: Workshop) -> None:
    engine = baking(slow)
    try:
        done = recovery(slow)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"an engine works on stack {slow.stack} already: process {engine.pid} of " in done.stderr
        assert alive(engine.pid)
    finally:
        interrupt(engine)
        engine.communicate(timeout=60)


def test_a_finished_bake_that_was_not_recorded_is_adopted(slow: Workshop) -> None:
    slow.fake = {}
    slow.must_up()
    before = slow.bake_logs()
    state = slow.folder / "backend" / ".pulumi" / "stacks" / "image-bakery" / "dev.json"
    state.unlink()
    assert slow.run("stack", "init").code == 0
    slow.must_up()
    assert slow.bake_logs() == before
    assert {one["outputs"]["outcome"] for one in slow.resources("BakedImage")} == {"adopted"}


def test_forty_bakes_run_at_once(workshop: Workshop) -> None:
    for number in range(40):
        workshop.recipe(f"image-{number:02d}", tests=False)
    workshop.fake = {"seconds": 600}  # none ends before all have begun, however busy this machine is
    engine = workshop.start("up", "--yes", "--skip-preview")
    try:
        wait_for(lambda: len(list((workshop.folder / ".bakery" / "work").glob("bake-*"))) == 40, 120)
    finally:
        interrupt(engine)
        engine.communicate(timeout=60)
    assert workshop.pending() == []


def test_progress_is_on_the_line_of_its_resource(workshop: Workshop) -> None:
    workshop.recipe("hpcc")
    workshop.fake = {"seconds": 6, "phases": ["baking: provisioner 1 of 2"]}
    up = workshop.must_up()
    assert any("BakedImage hpcc" in line and "baking: provisioner 1 of 2, " in line for line in up.text.splitlines())


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_the_test_tree_is_the_checkout(workshop: Workshop) -> None:
    """The engine runs this checkout's program and package, nothing installed."""
    assert (workshop.folder / "bakery").resolve() == ROOT / "bakery"
