"""The digests of all packages of this repository are those that version 0.1.0 computed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.compatibility import planning, record

AGAIN = f"if recipes were edited on purpose, run: {record.COMMAND} digests"


def test_every_image_has_the_recorded_digests(tmp_path: Path) -> None:
    recorded = json.loads((planning.HERE / record.DIGESTS).read_text(encoding="utf-8"))
    wrong = planning.differences(recorded, record.digests(tmp_path / "checkout"))
    assert not wrong, "\n".join([*wrong, AGAIN])


def test_the_table_covers_every_package_and_variant() -> None:
    recorded = json.loads((planning.HERE / record.DIGESTS).read_text(encoding="utf-8"))
    packages = {file.parent.name for file in (planning.ROOT / "packages").glob("*/packer.json")}
    for stack, table in recorded["stacks"].items():
        assert {image["package"] for image in table.values()} == packages, stack
        assert len([image for image in table.values() if image["package"] == "openfoam"]) == 4
    assert set(recorded["stacks"]) == set(planning.STACKS)


def test_settings_that_count_change_digests() -> None:
    """The recorded stacks are not all alike: each pins something that the others do not."""
    stacks = json.loads((planning.HERE / record.DIGESTS).read_text(encoding="utf-8"))["stacks"]
    assert stacks["local"]["hpcc"]["digest"] != stacks["local-nonce"]["hpcc"]["digest"]
    assert stacks["local"]["rcc-debian"]["digest"] != stacks["cloud-build"]["rcc-debian"]["digest"]
    assert stacks["cloud-build"]["gromacs"]["digest"] != stacks["cloud-build-spack"]["gromacs"]["digest"]
    assert stacks["cloud-build"]["rcc-debian"] == stacks["cloud-build-spack"]["rcc-debian"]
    assert len({table["hpcc"]["tests"] for table in stacks.values()}) == 1
