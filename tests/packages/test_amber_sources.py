"""Amber without its licensed sources: the bake ends at once and says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakery.host import process
from tests.support.root import ROOT

SCRIPT = ROOT / "packages" / "amber" / "fetch-sources.sh"


@pytest.mark.parametrize("where", ["", "/nowhere", "file"])
def test_the_word_is_clear(tmp_path: Path, where: str) -> None:
    command = f'bash "{SCRIPT}" 2>&1; echo "exit: $?"'
    said = process.output(["env", f"UPLOADS={tmp_path}", f"AMBER_SOURCES={where}", "bash", "-c", command])
    assert said.endswith("exit: 1\n")
    assert "Amber is licensed" in said and "_AMBER_SOURCES" in said and "\\" not in said


def test_why_it_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gsutil").write_text("#!/bin/sh\necho 'AccessDeniedException: 403 no access' >&2\nexit 1\n")
    (tmp_path / "bin/gsutil").chmod(0o755)
    environment = [f"PATH={tmp_path}/bin:/usr/bin:/bin", f"UPLOADS={tmp_path}", "AMBER_SOURCES=gs://bucket/amber"]
    said = process.output(["env", *environment, "bash", "-c", f'bash "{SCRIPT}" 2>&1; echo "exit: $?"'])
    assert said.endswith("exit: 1\n")
    assert "looked in gs://bucket/amber" in said and "403 no access" in said


def test_another_release_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    for name in ("Amber20.tar.bz2", "AmberTools21.tar.bz2"):
        (tmp_path / "sources" / name).write_bytes(b"something else")
    command = f'bash "{SCRIPT}" 2>&1; echo "exit: $?"'
    said = process.output(["env", f"UPLOADS={tmp_path}", "AMBER_SOURCES=", "bash", "-c", command])
    assert said.endswith("exit: 1\n") and "another release" in said
