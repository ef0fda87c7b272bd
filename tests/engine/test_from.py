"""A stack that bakes nothing promotes what another one has proven."""

from __future__ import annotations

import shutil

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
