"""Scripts with CRLF: Packer converts those of the provisioner shell, and nothing converts the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakery.errors import Severity
from bakery.lock.model import Lock
from bakery.plan.plan import draft
from bakery.settings import parse
from tests.support import recipe_tree

CRLF = "#!/bin/bash\r\necho hello\r\n"
PATH = "packages/app/start.sh"
INSTALL = recipe_tree.template()["provisioners"]
BUILDER = recipe_tree.template()["builders"][0]


def warnings(root: Path, changes: dict[str, Any], script: str = CRLF, suite: str = recipe_tree.SUITE) -> list[str]:
    """What is said about the script, with file and line; it must be a warning."""
    files = {"packer.json": recipe_tree.edited(**changes), "start.sh": script, "fluidrun.yaml": suite}
    found = [problem for problem in recipe_tree.spoilt(root, files) if "CRLF" in problem.message]
    assert {problem.severity for problem in found} <= {Severity.WARNING}
    return [f"{Path(problem.file).name}:{problem.line}" for problem in found]


CONVERTED: dict[str, dict[str, Any]] = {
    "shell": {"provisioners": [*INSTALL, {"type": "shell", "script": PATH}]},
    "shell, not binary": {"provisioners": [*INSTALL, {"type": "shell", "scripts": [PATH], "binary": False}]},
    "a file that no machine runs": {"provisioners": [*INSTALL, {"type": "file", "source": PATH, "destination": "/x"}]},
}
KEPT: dict[str, dict[str, Any]] = {
    "shell, binary": {"provisioners": [*INSTALL, {"type": "shell", "scripts": [PATH], "binary": True}]},
    "shell-local": {"provisioners": [*INSTALL, {"type": "shell-local", "script": "{{user `pkg_path`}}/start.sh"}]},
    "startup script": {"builders": [{**BUILDER, "startup_script_file": PATH}]},
    "startup script of the metadata": {"builders": [{**BUILDER, "metadata_files": {"startup-script": PATH}}]},
}


@pytest.mark.parametrize("name", CONVERTED)
def test_what_packer_converts_or_nobody_runs_is_right(tmp_path: Path, name: str) -> None:
    assert warnings(tmp_path, CONVERTED[name]) == []


@pytest.mark.parametrize("name", KEPT)
def test_a_script_that_nothing_converts_is_a_warning(tmp_path: Path, name: str) -> None:
    assert warnings(tmp_path, KEPT[name]) == ["start.sh:1"]


@pytest.mark.parametrize("script", ["#!/bin/bash\necho hello\r\n", "echo hello\r\n", ""])
def test_only_the_line_of_the_interpreter_matters(tmp_path: Path, script: str) -> None:
    assert warnings(tmp_path, KEPT["startup script"], script) == []


def test_slurm_refuses_the_script_of_a_job(tmp_path: Path) -> None:
    suite = recipe_tree.SUITE.replace("packages/app/test/run.sh", PATH)
    assert warnings(tmp_path, {}, suite=suite) == ["start.sh:1"]


def test_the_digest_follows_the_content_with_its_line_ends(tmp_path: Path) -> None:
    digests = set()
    for root, script in ((tmp_path / "lf", CRLF.replace("\r", "")), (tmp_path / "crlf", CRLF)):
        recipe_tree.write(root, {"install.sh": script})
        settings = parse({"oven": "cloud-build", "google": {"project": "p", "region": "r"}}, "gcp", root)
        plan = draft(settings, recipe_tree.loaded(root), Lock(), locked=False)
        assert [image.family for image in plan.images] == ["app"]
        digests.add(plan.images[0].digest)
    assert len(digests) == 2
