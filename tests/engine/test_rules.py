"""A version of the bakery with new rules of digests keeps what the version before it proved."""

from __future__ import annotations

import pytest

from bakery.plan import digest
from tests.engine.conftest import edit
from tests.engine.test_reasons import decisions
from tests.support.next_rules import BOTH
from tests.support.root import ROOT
from tests.support.workshop import Workshop

PROGRAM = f"""
import sys
from pathlib import Path
sys.path.append({str(ROOT)!r})
from bakery.plan import digest
from bakery.program import run
from tests.support.next_rules import BOTH
digest.GENERATIONS = BOTH
run(Path(__file__).resolve().parent)
"""
KEPT = "kept: proven under rules 2; would be baked under rules 3 when its recipe changes"


def test_new_rules_keep_proven_images_until_their_recipes_change(
    pair: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(digest, "GENERATIONS", BOTH)
    pair.write("__main__.py", PROGRAM)
    before, bakes = pair.families(), pair.bake_logs()
    assert [str(decision) for decision in decisions(pair)] == [KEPT, KEPT]
    assert pair.steps() == {}
    assert KEPT in pair.preview()
    pair.must_up()
    assert (pair.families(), pair.bake_logs()) == (before, bakes)
    edit(pair, "child")
    assert [str(one) for one in decisions(pair)] == [KEPT, "baked: packages/child/install.sh changed"]
    pair.must_up()
    after = pair.families()
    assert after["base"] == before["base"]
    assert after["child"] != before["child"]
    assert pair.bake_logs() == bakes + 1
    assert [str(decision) for decision in decisions(pair)] == [KEPT, "kept"]
    assert pair.steps() == {}
