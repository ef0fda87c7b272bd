"""What a Compute Engine machine uploads: the results are there before the status reports the end of the run."""

from __future__ import annotations

import json
import signal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bakery.fluid_run import bootstrap
from bakery.fluid_run.clusters import mailbox
from bakery.results.model import Stage
from tests.fake_google.server import serve


def test_results_are_there_before_the_status_says_that_the_run_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[str] = []
    monkeypatch.setattr(bootstrap, "upload", lambda _bucket, name, _content: gone.append(name))
    for name in bootstrap.MAIL:
        (tmp_path / name).write_text("x")
    bootstrap.send_changes("b", "p", tmp_path, {})
    assert gone == ["p/results.tar", "p/status.json"]


def test_no_status_goes_ahead_of_results_that_could_not_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[str] = []

    def upload(_bucket: str, name: str, _content: bytes) -> None:
        if name.endswith("results.tar") and not gone:
            gone.append("refused")
            raise OSError("no line")
        gone.append(name)

    monkeypatch.setattr(bootstrap, "upload", upload)
    for name in bootstrap.MAIL:
        (tmp_path / name).write_text("x")
    sent: dict[str, str] = {}
    bootstrap.send_changes("b", "p", tmp_path, sent)
    assert gone == ["refused"]
    bootstrap.send_changes("b", "p", tmp_path, sent)
    assert gone == ["refused", "p/results.tar", "p/status.json"]


def said(out: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((out / "status.json").read_text())
    return found


def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: str) -> tuple[dict[str, bytes], int]:
    """What a machine whose agent is this program puts into the bucket, and how its startup script ends."""
    bucket: dict[str, bytes] = {}
    seed = tmp_path / "seed"
    (seed / "agent").mkdir(parents=True)
    (seed / "agent/__main__.py").write_text(agent)
    monkeypatch.setattr(bootstrap, "FOLDER", tmp_path)
    monkeypatch.setattr(bootstrap, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(bootstrap, "metadata", lambda path: path.rpartition("-")[2])
    monkeypatch.setattr(bootstrap, "fetch_seed", lambda _bucket, _prefix: seed)
    monkeypatch.setattr(bootstrap, "upload", lambda _bucket, name, content: bucket.update({name: content}))
    return bucket, bootstrap.main()


class CutOff(BaseHTTPRequestHandler):
    """Announces more than it sends, as a line does that breaks."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"x" * 40)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_half_a_seed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), CutOff) as server:
        Thread(target=server.handle_request).start()
        monkeypatch.setattr(bootstrap, "STORAGE", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(bootstrap, "authorization", dict)
        with pytest.raises(OSError, match=r"seed.tar was cut off, 60 bytes are missing"):
            bootstrap.download("b", "seed.tar", tmp_path / "seed.tar")


def test_a_killed_agent_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    bucket, code = machine(tmp_path, monkeypatch, agent)
    assert code == -signal.SIGKILL
    status = mailbox.to_status(json.loads(bucket["prefix/name/status.json"]))
    assert (status.ended, status.error) == (True, "the agent on name was killed by signal 9")


def test_what_an_agent_said_before_it_was_killed_stays(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(json.dumps({"machine": "debug-0", "stage": "run", "jobs_done": 2}))
    bootstrap.report_end(tmp_path, "debug-0", 137)
    status = mailbox.to_status(said(tmp_path))
    assert (status.stage, status.jobs_done, status.ended) == (Stage.RUN, 2, True)
    assert status.error == "the agent on debug-0 ended with 137 before it could report why"


def test_an_agent_that_said_its_last_word_keeps_it(tmp_path: Path) -> None:
    word = {"machine": "controller", "stage": "run", "ended": True, "error": "slurmctld did not start"}
    (tmp_path / "status.json").write_text(json.dumps(word))
    bootstrap.report_end(tmp_path, "controller", 1)
    assert said(tmp_path) == word


def test_a_status_is_the_metadata_of_its_object_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "authorization", dict)
    with serve() as server:
        server.cloud.items["storage/storage/v1/b/b"] = {"name": "b"}
        monkeypatch.setattr(bootstrap, "STORAGE", server.url)
        long = json.dumps({"error": "x" * bootstrap.NOTE_BYTES})
        for name, text in (
            ("p/a/status.json", '{"stage": "run"}'),
            ("p/b/status.json", long),
            ("p/a/results.tar", "x"),
        ):
            bootstrap.upload("b", name, text.encode())
            assert server.cloud.media[f"storage/storage/v1/b/b/o/{name}"] == text.encode()
        found = {key.rpartition("/o/")[2]: item.get("metadata") for key, item in server.cloud.items.items()}
    assert found["p/a/status.json"] == {"status": '{"stage": "run"}'}
    assert (found["p/b/status.json"], found["p/a/results.tar"]) == (None, None)
    assert server.cloud.violations == []
