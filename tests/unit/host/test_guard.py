"""The guard in the foreground, as the Makefile runs the engine: one interrupt, whatever the group receives."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bakery.host import guard
from tests.support.root import ROOT
from tests.unit.host.test_process import alive, until

# An engine that needs a second to stop, with a language host; it reports the signals that it got.
ENGINE = """#!/usr/bin/env python3
import os, pathlib, signal, subprocess, sys, time
got = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: got.append(signal.Signals(number).name))
host = subprocess.Popen(["sleep", "600"], process_group=0)
pathlib.Path("started").write_text(f"{os.getpid()} {host.pid}")
while not got:
    time.sleep(0.01)
time.sleep(1)
host.kill()
print(*got, flush=True)
sys.exit(255)
"""
MAKEFILE = """SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
{line}
up:
\t@true
\t$(PULUMI) up || {{ echo stopped; exit 1; }}
"""


@pytest.fixture
def make(tmp_path: Path) -> list[str]:
    """A `make up` with the repository's own line that runs the engine."""
    (line,) = re.findall(r"^PULUMI := .*$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    line = line.replace("bakery/host/guard.py", guard.__file__).replace("python ", f"{sys.executable} ")
    (tmp_path / "Makefile").write_text(MAKEFILE.format(line=line))
    (tmp_path / "pulumi").write_text(ENGINE)
    (tmp_path / "pulumi").chmod(0o755)
    return ["env", f"PATH={tmp_path}:{os.environ['PATH']}", "make", "-C", str(tmp_path), "-s", "up"]


def pids(folder: Path) -> list[int]:
    until(lambda: (folder / "started").exists() and (folder / "started").read_text() != "", "the engine's start")
    return [int(word) for word in (folder / "started").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_for_the_whole_group_is_one_interrupt_and_make_waits(
    make: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    running = subprocess.Popen(make, stdout=subprocess.PIPE, text=True, start_new_session=True)
    engine, host = pids(tmp_path)
    os.killpg(running.pid, number)
    running.wait(10)
    assert not alive(engine) and not alive(host), "make waits until the engine has stopped"
    assert running.communicate()[0].startswith("SIGINT\n")


def test_the_engine_gets_one_interrupt_if_make_and_its_shell_are_killed(make: list[str], tmp_path: Path) -> None:
    with (tmp_path / "output").open("w") as output:
        running = subprocess.Popen(make, stdout=output, start_new_session=True)
    engine, _ = pids(tmp_path)
    for pid in (running.pid, *guard.descendants(running.pid)):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if command.startswith((b"make\0", b"/bin/bash\0")):
            os.kill(pid, signal.SIGKILL)
    running.wait()
    until(lambda: not alive(engine), "the engine's end")
    assert (tmp_path / "output").read_text() == "SIGINT\n"


def test_a_killed_engine_takes_its_language_host_along(make: list[str], tmp_path: Path) -> None:
    running = subprocess.Popen(make, stdout=subprocess.PIPE, text=True, start_new_session=True)
    engine, host = pids(tmp_path)
    os.kill(engine, signal.SIGKILL)
    assert running.communicate(timeout=10)[0] == "stopped\n"
    assert running.returncode == 2 and not alive(host)


def test_ctrl_c_at_a_terminal_reaches_the_engine_and_the_terminal_is_given_back(
    make: list[str], tmp_path: Path
) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("bash", ["bash", "-ic", f"{' '.join(make)}; echo back in $(ps -o tpgid= -p $$) $$"])
    engine, _ = pids(tmp_path)
    until(lambda: os.tcgetpgrp(terminal) == engine, "the engine in the foreground")
    os.write(terminal, b"\x03")
    said = b""
    while b"back in" not in said.replace(b"echo back in", b""):
        said += os.read(terminal, 1024)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(terminal)
    assert b"SIGINT\r\nstopped" in said
