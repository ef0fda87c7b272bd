"""The text of a resource's status line, and how often it is sent."""

from __future__ import annotations

import os
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from bakery.errors import Interrupted
from bakery.progress.status_line import Line, elapsed
from bakery.resources import plugin, progress
from bakery.resources.progress import Engine, watched


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.9, "0s"), (59.9, "59s"), (60, "1m00s"), (72, "1m12s"), (3599, "59m59s"), (7500, "2h05m")]
)
def test_elapsed(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text


def shown(line: Line, sent: list[str], phases: list[str], seconds: float) -> list[str]:
    with line:
        for phase in phases:
            line.say(phase)
            time.sleep(seconds / len(phases))
    return sent


def test_a_watched_line_ticks() -> None:
    sent: list[str] = []
    shown(Line(sent.append, again=0.02, tick=0.02), sent, ["baking"], 0.4)
    assert len(sent) > 4
    assert set(sent) == {"baking, 0s"}


def test_a_line_in_a_log_file_says_a_phase_once() -> None:
    sent: list[str] = []
    assert shown(Line(sent.append, again=60, tick=0.02), sent, ["booting", "baking"], 0.6) == [
        "booting, 0s",
        "baking, 0s",
    ]


def test_many_phases_are_not_more_messages_than_ticks() -> None:
    sent: list[str] = []
    began = time.monotonic()
    shown(Line(sent.append, tick=0.1), sent, [f"step {number}" for number in range(500)], 0.5)
    assert 1 <= len(sent) <= (time.monotonic() - began) / 0.1


def test_nothing_is_sent_before_a_phase_and_after_the_end() -> None:
    sent: list[str] = []
    with Line(sent.append, tick=0.02) as line:
        time.sleep(0.1)
    line.say("late")
    time.sleep(0.1)
    assert sent == []


class Recorder(engine_pb2_grpc.EngineServicer):  # type: ignore[misc]
    """An engine that records requests."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    def Log(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        return empty_pb2.Empty()


def test_the_engine_gets_status_and_warnings() -> None:
    recorder = Recorder()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    engine_pb2_grpc.add_EngineServicer_to_server(recorder, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        engine = Engine(f"127.0.0.1:{port}")
        engine.status("urn:a", "baking, 1s")
        engine.warn("urn:b", "not known")
    finally:
        server.stop(None).wait()
    assert [(one.urn, one.message, one.ephemeral, one.severity) for one in recorder.requests] == [
        ("urn:a", "baking, 1s", True, engine_pb2.INFO),
        ("urn:b", "not known", False, engine_pb2.WARNING),
    ]


def test_an_engine_that_is_gone_ends_nothing() -> None:
    began = time.monotonic()
    Engine("127.0.0.1:9").status("urn", "text")  # raises nothing
    assert time.monotonic() - began < 30


def test_an_activity_is_cancelled_by_ctrl_c() -> None:
    try:
        with pytest.raises(Interrupted), progress.activity("urn", "a bake") as activity:
            plugin.cancelled.set()
            activity.sleep(20)
    finally:
        plugin.cancelled.clear()


def engine_process(proc: Path, output: str) -> None:
    place = proc / str(os.getppid())
    (place / "fd").mkdir(parents=True)
    (place / "stat").write_text(f"7 (pulumi) S 1{20 * ' 0'}", encoding="utf-8")
    (place / "fd" / "1").symlink_to(output)


@pytest.mark.parametrize(("output", "is_terminal"), [("/dev/pts/3", True), ("/tmp/log", False), ("pipe:[7]", False)])
def test_whether_somebody_watches(tmp_path: Path, output: str, is_terminal: bool) -> None:
    engine_process(tmp_path, output)
    assert watched(tmp_path) is is_terminal


def test_an_engine_that_is_not_found_is_watched(tmp_path: Path) -> None:
    assert watched(tmp_path)
