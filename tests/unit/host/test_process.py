"""The only way to a subprocess: its output, its errors, and that nothing it started is ever left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.errors import MAKE_ROOM, CommandFailed, InfrastructureFailed, Interrupted, MissingTool, TimedOut
from bakery.host import guard, process
from bakery.progress.activity import Activity

PATIENCE = 10.0

# A daemon as they are made: a child that leaves its session, and whose parent is gone.
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open(sys.argv[1] + ".new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(sys.argv[1] + ".new", sys.argv[1])
        time.sleep(600)
    os._exit(0)
os.wait()
while not os.path.exists(sys.argv[1]):
    time.sleep(0.005)
"""
LINGERS = "time.sleep(600)"


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, looking often."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s in vain: {what}"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie is not alive."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def daemon_of(pid_file: Path) -> int:
    """The process id that a daemon wrote."""
    until(pid_file.exists, "the daemon's pid file")
    return int(pid_file.read_text())


def python(code: str, *arguments: str | Path) -> list[str]:
    """A command that runs a piece of Python."""
    return [sys.executable, "-I", "-S", "-c", code, *map(str, arguments)]


def test_what_a_command_prints_is_handed_back_and_logged(tmp_path: Path) -> None:
    log = tmp_path / "log"
    seen: list[str] = []
    done = process.run(["sh", "-c", "echo out; echo err >&2"], log=log, on_line=seen.append)
    assert sorted(done) == ["err", "out"]
    assert seen == list(done)
    assert log.read_text() == "\n".join((*done, ""))


def test_a_log_is_continued_not_overwritten(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for word in ("first", "second"):
        process.run(["echo", word], log=log)
    assert log.read_text().split() == ["first", "second"]


def test_a_log_is_written_while_the_command_runs(tmp_path: Path) -> None:
    log = tmp_path / "log"
    running = process.Running(["sh", "-c", "echo early; exec sleep 600"], log=log)
    try:
        until(lambda: log.exists() and log.read_text() == "early\n", "the first line in the log")
        assert running.poll() is None
    finally:
        running.stop()


def test_a_command_goes_on_when_its_log_finds_no_room_and_its_failure_says_so() -> None:
    with pytest.raises(CommandFailed) as failed:
        process.run(["sh", "-c", "for n in 1 2 3; do echo $n; sleep 0.1; done; exit 3"], log=Path("/dev/full"))
    assert failed.value.code == 3
    assert failed.value.tail == ("/dev/full: No space left on device", "1", "2", "3")
    assert failed.value.hint == MAKE_ROOM


def test_output_that_is_no_text_does_no_harm() -> None:
    assert process.run(["printf", r"a\377b\n"]) == ("a\N{REPLACEMENT CHARACTER}b",)
    assert process.output(["printf", r"a\377b"]) == "a\N{REPLACEMENT CHARACTER}b"


def test_a_failure_carries_code_tail_log_and_replay(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(CommandFailed) as failed:
        process.run(["sh", "-c", "seq 100; exit 7"], log=log, cwd=tmp_path, env={"WORD": "two words"})
    assert failed.value.code == 7
    assert failed.value.tail == tuple(map(str, range(61, 101)))
    assert failed.value.log == log
    assert len(log.read_text().split()) == 100
    shown = failed.value.render()
    assert "sh ended with exit code 7" in shown
    assert "  | 100\n" in shown
    assert f"log: {log}" in shown


def test_the_replay_line_really_replays(tmp_path: Path) -> None:
    command = ["sh", "-c", 'echo "$WORD in $(pwd)"; exit 3']
    with pytest.raises(CommandFailed) as failed:
        process.run(command, cwd=tmp_path, env={"WORD": "it's $HOME"})
    again = subprocess.run(["bash", "-c", failed.value.replay], capture_output=True, text=True, check=False)
    assert again.returncode == 3
    assert again.stdout == "\n".join(failed.value.tail) + "\n" == f"it's $HOME in {tmp_path}\n"


def test_a_signal_is_an_exit_code_above_128() -> None:
    with pytest.raises(CommandFailed) as failed:
        process.run(["sh", "-c", "kill -TERM $$"])
    assert failed.value.code == 128 + signal.SIGTERM


def test_a_program_that_is_not_there_is_127() -> None:
    with pytest.raises(CommandFailed) as failed:
        process.run(["no-such-program"])
    assert failed.value.code == 127
    assert failed.value.tail == ("no-such-program: No such file or directory",)


def test_standard_input_is_empty() -> None:
    assert process.run(["cat"]) == ()


def test_find_tool_finds_or_says_what_to_do() -> None:
    assert process.find_tool("sh").is_file()
    with pytest.raises(MissingTool, match="no-such-tool is not installed") as missing:
        process.find_tool("no-such-tool", hint="apt-get install no-such-tool")
    assert "apt-get install" in missing.value.render()


def test_a_daemonised_grandchild_ends_with_its_command(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    process.run(python(DAEMON, pid_file))
    assert not alive(int(pid_file.read_text()))


def test_stop_ends_daemonised_grandchildren(tmp_path: Path) -> None:
    running = process.Running(python(f"{DAEMON}\n{LINGERS}", tmp_path / "pid"))
    daemon = daemon_of(tmp_path / "pid")
    assert alive(daemon)
    running.stop()
    running.stop()  # idempotent
    assert not alive(daemon)
    assert running.poll() == 143


def test_what_ignores_the_polite_signal_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = tmp_path / "guard.py"
    impatient.write_text(process.GUARD.read_text().replace("GRACE_SECONDS = 5.0", "GRACE_SECONDS = 0.2"))
    monkeypatch.setattr(process, "GUARD", impatient)
    stubborn = (
        "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True)"
    )
    seen: list[str] = []
    running = process.Running(python(f"{stubborn}; {LINGERS}"), on_line=seen.append)
    until(lambda: bool(seen), "the command's pid")
    running.stop()
    assert not alive(int(seen[0]))


def test_everything_ends_when_the_caller_is_killed(tmp_path: Path) -> None:
    caller_code = (
        "import sys, time; from pathlib import Path; from bakery.host import process\n"
        "running = process.Running([sys.executable, '-c', sys.argv[2], sys.argv[1]])\n"
        f"{LINGERS}"
    )
    caller = subprocess.Popen([sys.executable, "-c", caller_code, tmp_path / "pid", f"{DAEMON}\n{LINGERS}"])
    daemon = daemon_of(tmp_path / "pid")
    os.kill(caller.pid, signal.SIGKILL)
    caller.wait()
    until(lambda: not alive(daemon), "the daemon's end after its caller was killed")


def test_a_killed_guard_takes_its_child_along() -> None:
    seen: list[str] = []
    running = process.Running(
        python(f"import os, time; print(os.getpid(), flush=True); {LINGERS}"), on_line=seen.append
    )
    until(lambda: bool(seen), "the command's pid")
    os.kill(running.pid, signal.SIGKILL)
    until(lambda: not alive(int(seen[0])), "the child's end after its guard was killed")
    assert running.wait() == -signal.SIGKILL


# A caller whose command has a child and a grandchild, as Packer has; it prints the guard's id and those of both.
CALLER = f"""
import sys, time
from bakery.host import process
running = process.Running(["sh", "-c", "sh -c 'sleep 600 & echo $! $$; wait' & wait"])
while not running.lines:
    time.sleep(0.01)
print(running.lines[0], running.pid, sep="\\n", flush=True)
{LINGERS}
"""


def test_what_a_killed_guard_and_its_killed_caller_left_running_is_found_and_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", CALLER], stdout=subprocess.PIPE, text=True) as caller:
        try:
            said = caller.stdout
            assert said
            pids, guard_pid = [int(word) for word in said.readline().split()], int(said.readline())
            process.end_orphans()  # not these: a living guard ends them itself
            assert [pid for pid in pids if not alive(pid)] == []
            os.kill(caller.pid, signal.SIGSTOP)  # or the one that is killed second could end them first
            for pid in (guard_pid, caller.pid):
                os.kill(pid, signal.SIGKILL)
            until(lambda: not alive(guard_pid), "the guard's end")
            assert [pid for pid in pids if not alive(pid)] == []
            ended = process.end_orphans()
            assert {f"ended sleep (process {pids[0]}), which a killed process had left running"} <= set(ended)
            until(lambda: not any(alive(pid) for pid in pids), "the end of all descendants")
        finally:
            caller.kill()


def test_a_caller_that_lives_ends_what_its_killed_guard_left() -> None:
    lines: list[str] = []
    running = process.Running(["sh", "-c", "sh -c 'sleep 600 & echo $! $$; wait' & wait"], on_line=lines.append)
    until(lambda: bool(lines), "the descendants")
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    until(lambda: not any(alive(int(pid)) for pid in lines[0].split()), "the end of all descendants")


def test_a_cancelled_activity_stops_the_command(tmp_path: Path) -> None:
    activity = Activity()
    threading.Timer(0.2, activity.cancelled.set).start()
    started = time.monotonic()
    with pytest.raises(Interrupted, match="sleep was stopped on request"):
        process.run(["sleep", "600"], activity=activity)
    assert time.monotonic() - started < 5


def test_a_timeout_stops_the_command(tmp_path: Path) -> None:
    with pytest.raises(TimedOut, match="did not end within"):
        process.run(python(f"{DAEMON}\n{LINGERS}", tmp_path / "pid"), timeout=1.0)
    assert not alive(int((tmp_path / "pid").read_text()))


def test_output_is_standard_output_alone() -> None:
    assert process.output(["sh", "-c", "echo out; echo err >&2"]) == "out\n"
    with pytest.raises(CommandFailed) as failed:
        process.output(["sh", "-c", "echo why >&2; exit 2"])
    assert failed.value.tail == ("why",)


def test_it_is_known_whether_a_program_runs_below_a_command() -> None:
    running = process.Running(["sh", "-c", "sleep 60; true"])
    try:
        until(lambda: running.runs("sleep"), "sleep runs")
        assert not running.runs("qemu-system-x86_64")
    finally:
        running.stop()
    assert not running.runs("sleep")


def test_a_short_command_that_hangs_is_told_in_words_and_is_nobodys_defect() -> None:
    with pytest.raises(InfrastructureFailed, match="sleep did not end within 0 s") as hung:
        process.output(["sleep", "60"], timeout=0.2)
    assert hung.value.replay == "sleep 60"


def test_the_guard_ends_the_others_when_one_is_another_users(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    def kill(pid: int, _signal: int) -> None:
        if pid == 1:
            raise PermissionError
        told.append(pid)

    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(guard, "descendants", lambda _root: [1, 2, 3])
    assert guard.end(signal.SIGTERM)
    assert told == [2, 3]
    monkeypatch.setattr(guard, "descendants", lambda _root: [1])
    assert not guard.end(signal.SIGKILL), "nothing is left that could be ended"
