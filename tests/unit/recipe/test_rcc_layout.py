"""A small tree as FluidNumerics/rcc-apps lays its packages out, with what is odd in them: it loads as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import Problem, Severity
from bakery.lock.model import Lock
from bakery.plan.plan import draft
from bakery.recipe.load import load
from bakery.recipe.model import Recipes
from bakery.settings import parse
from tests.support import recipe_tree

BENCHMARK = """\
steps:
- id: &BUILD Build Image
  name: 'hashicorp/packer:latest'
  args: ["build", "-force", "-var", "image_family=${_IMAGE_FAMILY}", '${_PKG_PATH}/packer.json']
  waitFor: ["-"]
- id: Fluid Run
  name: 'gcr.io/somewhere/fluid-run'
  waitFor: [*BUILD]
  args:
  - '--ci-file=${_PKG_PATH}/fluidci.yaml'
  - '--rcc-tfvars=${_PKG_PATH}/test/rcc.auto.tfvars'
substitutions:
    _IMAGE_FAMILY: 'solver'
    _PKG_PATH: "solver"
    _IMAGE_FAMILY: 'solver'
    _ZONE: "us-central1-f"
    _ZONE: "us-central1-c"
timeout : 86400s
"""
TFVARS = """\
cluster_name = "<name>"
zone = "<zone>"
controller_image = "<image>"
login_node_count = 0
compute_node_scopes          = [
  "https://www.googleapis.com/auth/cloud-platform"
]
partitions = [
  { name                 = "c2-standard-60-compact"
    machine_type         = "c2-standard-60"
    image                = "<image>"
    max_node_count       = 25
    zone                 = "<zone>"
    compute_labels       = {}
    gpu_type             = null
    enable_placement     = true
  },
]
"""
INSTALLER = """\
#!/bin/bash
sed -i "s#@INSTALL_ROOT@#${INSTALL_ROOT}#g" /tmp/spack.yaml
spack install % ${COMPILER} arch=${ARCH} %${SYSTEM_COMPILER}
"""


def build(path: str, substitutions: str = "") -> str:
    """``cloudbuild.yaml`` of a package that hands a system compiler on, whether it is set or not."""
    made = recipe_tree.build(path).replace(
        '"-var", "compiler', '"-var", "system_compiler=$_SYSTEM_COMPILER", "-var", "compiler'
    )
    return made.replace("timeout", f"{substitutions}timeout")


def template(family: str, *environment: str) -> dict[str, Any]:
    """``packer.json`` copied from the solver's, ``pkg_path`` and all."""
    made = recipe_tree.template()
    made["variables"] |= {"image_family": family, "pkg_path": "solver", "system_compiler": ""}
    script = "{{user `common_path`}}/spack-install.sh"
    given = [*recipe_tree.ENVIRONMENT, *environment]
    made["provisioners"].append({"type": "shell", "script": script, "environment_vars": given})
    return made


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Packages beside folders that are none: solver has all files, plain only a template, small lacks a compiler."""
    spack = recipe_tree.SPACK + "  concretization: together\n  config:\n    install_tree: @INSTALL_ROOT@/software\n"
    plain = template("plain") | {"provisioners": [{"type": "shell", "inline": ["true"]}]}
    files = {
        "solver/packer.json": json.dumps(template("app", "SYSTEM_COMPILER={{user `system_compiler`}}"), indent=4),
        "solver/cloudbuild.yaml": build("solver", "  _SYSTEM_COMPILER: 'gcc@4.8.5'\n"),
        "solver/cloudbuild.benchmark.yaml": BENCHMARK,
        "solver/env/spack.yaml": spack,
        "solver/fluidrun.yaml": recipe_tree.SUITE.replace("packages/app", "solver").replace(
            "debug", "c2-standard-60-compact"
        ),
        "solver/test/run.sh": "#!/bin/bash\n",
        "solver/test/rcc.auto.tfvars": TFVARS,
        "solver/install.sh": "#!/bin/bash\n",
        "solver/tf/main.tf": "# consumers\n",
        "plain/packer.json": json.dumps(plain, indent=4),
        "plain/startup-script.sh": "#!/bin/bash\n",
        "small/packer.json": json.dumps(template("small"), indent=4),
        "small/cloudbuild.yaml": build("small").replace("FAMILY: app", "FAMILY: small"),
        "small/install.sh": "#!/bin/bash\n",
        "small/env/spack.yaml": recipe_tree.SPACK,
        "common/etc/motd": "hello\n",
        "common/spack-install.sh": INSTALLER,
        "common/modules.yaml": "modules: {}\n",
        "docs/source/index.rst": "words\n",
        "tf/io.tf": "# variables\n",
    }
    for path, content in files.items():
        recipe_tree.put(tmp_path / path, content)
    return tmp_path


def loaded(checkout: Path) -> Recipes:
    return load(checkout, checkout / "common")


def said(problems: tuple[Problem, ...], part: str) -> list[tuple[str, str]]:
    """File and the line's text of every problem that says this."""
    found = [problem for problem in problems if part in problem.message]
    return [(Path(p.file).name, Path(p.file).read_text().splitlines()[p.line - 1].strip()) for p in found]


def test_it_loads_and_is_planned_without_an_error(checkout: Path) -> None:
    recipes = loaded(checkout)
    assert [(recipe.name, recipe.workspace_path) for recipe in recipes.recipes] == [
        ("plain", "solver"),
        ("small", "small"),
        ("solver", "solver"),
    ]
    plan = draft(parse({"oven": "cloud-build", "google": {"project": "p", "region": "r"}}, "gcp", checkout), recipes,
                 Lock(), locked=False)  # fmt: skip
    assert {image.family for image in plan.images} == {"plain", "small", "app"}
    assert [str(problem) for problem in plan.problems if problem.severity is Severity.ERROR] == []


def test_anchors_stand_for_what_they_are_put_to(checkout: Path) -> None:
    solver = loaded(checkout).recipes[-1]
    assert solver.build["steps"][0]["id"] == "Build Image"
    assert solver.suite is not None
    (partition,) = solver.suite.cluster.partitions
    assert (partition.name, partition.nodes, partition.zone) == ("c2-standard-60-compact", 25, "")


def test_what_is_odd_is_a_warning_where_it_stands(checkout: Path) -> None:
    problems = loaded(checkout).problems
    assert {problem.severity for problem in problems} == {Severity.WARNING}
    assert said(problems, "fluidci.yaml") == [("cloudbuild.benchmark.yaml", "- '--ci-file=${_PKG_PATH}/fluidci.yaml'")]
    assert said(problems, "duplicate") == [
        ("cloudbuild.benchmark.yaml", "_IMAGE_FAMILY: 'solver'"),
        ("cloudbuild.benchmark.yaml", '_ZONE: "us-central1-c"'),
    ]
    assert said(problems, "concretization") == [("spack.yaml", "concretization: together")]
    assert said(problems, "install_tree") == [("spack.yaml", "install_tree: @INSTALL_ROOT@/software")]
    assert [file for file, _ in said(problems, "_SYSTEM_COMPILER is not set")] == ["cloudbuild.yaml"]
    assert said(problems, "needs SYSTEM_COMPILER") == [
        ("packer.json", '"script": "{{user `common_path`}}/spack-install.sh",')
    ]
    assert [text for _, text in said(problems, "names another package")] == ['"pkg_path": "solver",'] * 2
    (absent,) = [problem for problem in problems if "missing: the template's own values count" in problem.message]
    assert absent.file.endswith("plain/cloudbuild.yaml")
