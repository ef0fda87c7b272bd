"""A stack that bakes nothing promotes what another one has proven."""

from __future__ import annotations

import json
import shutil

from bakery.library.base import Proof
from bakery.results.model import Verdict
from tests.engine.conftest import edit
from tests.support import workshop as shop
from tests.support.workshop import Workshop


def test_prod_takes_what_dev_has_proven_and_follows_it(pair: Workshop) -> None:
    elsewhere = {"packages": "none", "common": "none", "lock": "none.lock"}
    prod = Workshop(pair.folder, pair.env, extra={"from": "dev", **elsewhere}, stack="prod", state=".prod")
    shop.init(prod)
    child = pair.families()["child"]
    preview = prod.preview()
    assert f"child: {child} from dev, proven just now by 1 test" in preview, preview.text
    prod.must_up()
    assert (dict(prod.families()), prod.bake_logs()) == (dict(pair.families()), 0)
    assert [one.run_id for one in prod.library.runs(child)] == [one.run_id for one in pair.library.runs(child)]
    assert prod.outputs()["images"]["child"]["image"] == child
    edit(pair, "child")
    pair.must_up()
    assert prod.steps() == {
        "BakedImage child": "replace",
        "FluidRunTest child": "replace",
        "PromotedImage child": "update",
    }
    shutil.rmtree(pair.folder / ".bakery")
    refused = prod.preview()
    assert (refused.code != 0, "Pulumi.prod.yaml:" in refused, "the stack dev has no library yet" in refused) == (
        *(True, True, True),
    ), refused.text
    assert prod.families()["child"] == child


def test_prod_tests_what_it_takes_before_it_promotes_it(pair: Workshop) -> None:
    origin = {"stack": "dev", "smoke": True}
    prod = Workshop(pair.folder, pair.env, extra={"from": origin}, stack="prod", state=".prod")
    shop.init(prod)
    child, script = pair.families()["child"], pair.folder / ".prod/fake-tests/child.json"
    script.parent.mkdir(parents=True)
    script.write_text(json.dumps({"exit_codes": {"child/smoke": 3}}))
    preview = prod.preview()
    assert f"child: {child} from dev, proven just now by 1 test; 1 smoke test here before its promotion" in preview
    failed = prod.up()
    assert (failed.code != 0, prod.families()) == (True, {"base": pair.families()["base"]}), failed.text
    assert f"{child}: 1 of 1 jobs failed: child" in failed and "\n    log: " in failed, failed.text
    (theirs,), (proof, bad) = pair.library.runs(child), prod.library.runs(child)
    assert (proof.run_id, bad.verdict) == (theirs.run_id, Verdict.FAILED), "the run is one of this stack"
    script.unlink()
    prod.must_up()
    *_, run = prod.library.runs(child)
    assert (run.verdict, dict(prod.families())) == (Verdict.PASSED, dict(pair.families()))
    assert pair.library.runs(child) == [theirs], "and the other stack does not know it"
    assert prod.up("--expect-no-changes").code == 0

    edit(pair, "child")
    pair.must_up()
    script.write_text(json.dumps({"exit_codes": {"child/smoke": 3}}))
    failed = prod.up()
    assert (failed.code != 0, prod.families()["child"]) == (True, child), "the family stays as it was"
    new = prod.library.find(pair.families()["child"])
    assert new is not None and new.proof is Proof.FAILED
