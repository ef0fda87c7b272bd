"""The mail of a Compute Engine machine: whoever reads that the run ended finds its results."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakery.fluid_run import bootstrap


def test_results_are_there_before_the_status_says_that_the_run_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[str] = []
    monkeypatch.setattr(bootstrap, "upload", lambda _bucket, name, _content: gone.append(name))
    for name in bootstrap.MAIL:
        (tmp_path / name).write_text("x")
    bootstrap.carry("b", "p", tmp_path, {})
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
    bootstrap.carry("b", "p", tmp_path, sent)
    assert gone == ["refused"]
    bootstrap.carry("b", "p", tmp_path, sent)
    assert gone == ["refused", "p/results.tar", "p/status.json"]
