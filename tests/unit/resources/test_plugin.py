"""Each change to the plugin process, tested without the engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from bakery.errors import BakeFailed
from bakery.resources import plugin


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    plugin.cancelled.clear()


SERVER = """
import os, signal, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
import grpc
from bakery.resources import plugin

def call(_request, _context):
    os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C at a terminal, twice
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.3)
    return b"served"

server = grpc.server(ThreadPoolExecutor(4))
handler = grpc.method_handlers_generic_handler("a", {"b": grpc.unary_unary_rpc_method_handler(call)})
server.add_generic_rpc_handlers((handler,))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
thread = threading.Thread(target=plugin.stop_when_idle)  # Python changes signals in the main thread only
thread.start(); thread.join()
try:
    print(port, flush=True)  # whoever reads it may interrupt at once
    threading.Event().wait()
except KeyboardInterrupt:
    server.stop(0)
print("stopped", flush=True)
"""


def test_a_call_is_served_to_its_end_whatever_interrupts_the_plugin() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
            assert channel.unary_unary("/a/b")(b"", timeout=60, wait_for_ready=True) == b"served"
        assert process.stdout.read() == "stopped\n"
    assert process.returncode == 0


def test_an_idle_plugin_ends_at_once_when_the_engine_interrupts_it() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stdout.read() == "stopped\n"


def test_a_widened_pool_runs_more_calls_at_once() -> None:
    with ThreadPoolExecutor(max_workers=2) as pool:
        assert plugin.raise_worker_limit(12) >= 1
        all_here = threading.Barrier(10, timeout=20)
        assert [one.result() >= 0 for one in [pool.submit(all_here.wait) for _ in range(10)]]


def test_widening_never_narrows() -> None:
    with ThreadPoolExecutor(max_workers=50) as pool:
        plugin.raise_worker_limit(3)
        assert pool._max_workers >= 50


def test_cancel_reaches_us_through_a_method_that_was_bound_before() -> None:
    class Servicer:
        def Cancel(self, request: Any, context: Any) -> str:
            return "the old one"

    bound = Servicer().Cancel
    assert plugin.intercept_cancel(Servicer)
    assert not plugin.cancelled.is_set()
    answer: Any = bound(None, None)
    assert answer.DESCRIPTOR.full_name == "google.protobuf.Empty"
    assert plugin.cancelled.is_set()


def test_the_sdk_still_has_the_cancel_that_we_replace() -> None:
    from pulumi.runtime.proto import ResourceProviderServicer

    found = ResourceProviderServicer.Cancel
    assert found.__code__.co_argcount == 3


@pytest.mark.parametrize("servicer", [None, type("Other", (), {}), type("Odd", (), {"Cancel": lambda self: None})])
def test_another_sdk_is_left_as_it_is(servicer: type | None) -> None:
    assert plugin.intercept_cancel(servicer) is False


def test_the_end_of_the_engine_is_noticed() -> None:
    ours, engines = os.pipe()
    gone = threading.Event()
    assert plugin.watch_engine(ours, gone.set)
    assert not gone.wait(0.2)
    os.close(engines)
    assert gone.wait(5)
    os.close(ours)


def test_a_closed_standard_input_is_no_engine_to_watch() -> None:
    ours, engines = os.pipe()
    os.close(ours)
    os.close(engines)
    assert plugin.watch_engine(ours, lambda: None) is False


def test_leaving_waits_until_running_work_has_stopped() -> None:
    stopped: list[str] = []
    started = threading.Event()

    def work() -> None:
        with plugin.working("a bake") as cancelled:
            started.set()
            cancelled.wait(10)
            stopped.append("work")

    thread = threading.Thread(target=work)
    thread.start()
    started.wait(5)
    plugin.leave(lambda code: stopped.append(f"process {code}"))
    thread.join()
    assert stopped == ["work", "process 1"]


class Call(grpc.ServicerContext):  # type: ignore[misc]
    """A call that records how it was aborted."""

    def abort(self, code: Any, details: str) -> None:
        self.aborted = (code, details)
        raise RuntimeError("aborted")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


Call.__abstractmethods__ = frozenset()


def test_a_refused_call_shows_the_message_alone() -> None:
    call = Call()

    def handler(context: Any) -> None:
        plugin.abort_call(BakeFailed("provisioner 2 of 3 failed", tail=["x"], log="/l", replay="packer build"))

    with pytest.raises(RuntimeError, match="aborted"):
        handler(call)
    code, details = call.aborted
    assert code is grpc.StatusCode.UNKNOWN
    assert details == "provisioner 2 of 3 failed\nlast log lines:\n  | x\nlog: /l\nreplay: packer build"


def test_without_a_call_the_error_is_raised_with_a_short_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "tracebacklimit", 1000, raising=False)
    with pytest.raises(BakeFailed, match="no call"):
        plugin.abort_call(BakeFailed("no call"))
    assert sys.tracebacklimit == 0
