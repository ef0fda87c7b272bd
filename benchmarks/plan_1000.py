"""Read, check and plan 1,000 recipes of 10 small files, against ``sha256sum`` over the same files.

Run: python benchmarks/plan_1000.py [--recipes N] [--hcl2 N] [--json FILE]. With ``--hcl2``, so many of the recipes have
HCL2 templates of two files, with locals and ``for_each``. Every measurement is a process of its own
(``_plan_once.py``), from the start of the interpreter to the printed plan; ``cold`` has no cache, ``warm`` has,
``edited`` has one file changed in place with its old size and time. Figures are medians, seconds and MB; ratios are of
the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPEATS = 5
VARIABLES = {
    "project_id": "",
    "zone": "us-central1-a",
    "subnet": "default",
    "machine_type": "n1-standard-16",
    "source_image_family": "base",
    "source_image_project": "elsewhere",
    "image_name": "",
    "image_family": "",
    "install_root": "/opt",
    "compiler": "gcc@12.2.0",
    "target_arch": "x86_64",
    "pkg_path": "",
    "common_path": "common",
    "env_file": "env/spack.yaml",
}


HCL2 = """locals {
  folders  = ["${var.common_path}/etc", "${var.pkg_path}/${var.env_file}", "${var.pkg_path}/share"]
  scripts  = { a = "${var.common_path}/spack-install.sh", b = "${var.pkg_path}/install.sh" }
  settings = [for name, value in { ARCH = var.target_arch, COMPILER = var.compiler } : "${name}=${value}"]
}

source "googlecompute" "image" {
  project_id              = var.project_id
  source_image_family     = var.source_image_family
  source_image_project_id = [var.source_image_project]
  machine_type            = var.machine_type
  disk_size               = 50
  zone                    = var.zone
  subnetwork              = var.subnet
  image_family            = var.image_family
  image_name              = var.image_name
  ssh_username            = "packer"
}

build {
  sources = ["source.googlecompute.image"]

  dynamic "provisioner" {
    labels   = ["file"]
    for_each = local.folders
    content {
      source      = provisioner.value
      destination = "/tmp/"
    }
  }

  dynamic "provisioner" {
    labels   = ["shell"]
    for_each = local.scripts
    content {
      script           = provisioner.value
      environment_vars = concat(["INSTALL_ROOT=${var.install_root}"], local.settings)
    }
  }
}
"""


def template(name: str) -> dict[str, Any]:
    environment = [
        "INSTALL_ROOT={{user `install_root`}}",
        "COMPILER={{user `compiler`}}",
        "ARCH={{user `target_arch`}}",
    ]
    builder = {
        "type": "googlecompute",
        "project_id": "{{user `project_id`}}",
        "source_image_family": "{{user `source_image_family`}}",
        "source_image_project_id": ["{{user `source_image_project`}}"],
        "machine_type": "{{user `machine_type`}}",
        "disk_size": 50,
        "zone": "{{user `zone`}}",
        "subnetwork": "{{user `subnet`}}",
        "image_family": "{{user `image_family`}}",
        "image_name": "{{user `image_name`}}",
        "ssh_username": "packer",
    }
    files = ("{{user `common_path`}}/etc", "{{user `pkg_path`}}/{{user `env_file`}}", "{{user `pkg_path`}}/share")
    scripts = ("{{user `common_path`}}/spack-install.sh", "{{user `pkg_path`}}/install.sh")
    return {
        "variables": {**VARIABLES, "image_name": name, "image_family": name, "pkg_path": f"packages/{name}"},
        "builders": [builder],
        "provisioners": [
            *({"type": "file", "source": source, "destination": "/tmp/"} for source in files),
            *({"type": "shell", "script": script, "environment_vars": environment} for script in scripts),
        ],
    }


def hcl2_template(name: str) -> dict[str, str]:
    """The same template in HCL2: two files."""
    values = {**VARIABLES, "image_name": name, "image_family": name, "pkg_path": f"packages/{name}"}
    declared = "".join(
        f'variable "{key}" {{\n  type    = string\n  default = "{value}"\n}}\n' for key, value in values.items()
    )
    return {"variables.pkr.hcl": declared, "image.pkr.hcl": HCL2}


def build(name: str, parent: str) -> str:
    values = {**VARIABLES, "image_name": name, "image_family": name, "pkg_path": f"packages/{name}"}
    values |= {"source_image_family": parent} if parent else {}
    del values["project_id"]
    arguments = "".join(f',\n         "-var", "{key}=${{_{key.upper()}}}"' for key in values)
    lines = "\n".join(f"  _{key.upper()}: '{value}'" for key, value in values.items())
    step = (
        f'- id: Build Image\n  name: hashicorp/packer\n  args: ["build", "-var", "project_id=$PROJECT_ID"{arguments},\n'
    )
    return f'steps:\n{step}         "${{_PKG_PATH}}/packer.json"]\n\nsubstitutions:\n{lines}\n\ntimeout: 7200s\n'


def recipe(name: str, parent: str, hcl2: bool = False) -> dict[str, str]:
    """The files of a package: ten, or eleven with HCL2."""
    job = (
        f"- command_group: {name}\n  execution_command: packages/{name}/test/run.sh\n  output_directory: {name}/%s\n"
        "  partition: debug\n  batch_options: '--nodes=2 --time=10'\n  metrics:\n"
        "  - name: speed\n    pattern: 'speed=(\\S+)'\n    unit: Gflop/s\n    reference: 2\n    lower: -0.1\n"
    )
    build_file = build(name, parent)
    return {
        **(hcl2_template(name) if hcl2 else {"packer.json": json.dumps(template(name), indent=2)}),
        "cloudbuild.yaml": build_file.replace("/packer.json", "") if hcl2 else build_file,
        "fluidrun.yaml": "tests:\n" + job % "smoke" + job % "benchmark",
        "install.sh": f"#!/bin/bash\nset -euo pipefail\necho {name}\n" + "# what it does, and why\n" * 30,
        "env/spack.yaml": f"spack:\n  view: @INSTALL_ROOT@/view\n  specs:\n  - {name} % @COMPILER@ arch=@ARCH@\n",
        "share/run.sh": f"#!/bin/bash\n{name}\n",
        "share/input.dat": f"{name} 1 2 3\n" * 50,
        "test/run.sh": f"#!/bin/bash\n{name} --test\n",
        "test/input.dat": f"{name} 4 5 6\n" * 50,
        "README.md": f"# {name}\n\nA package of the benchmark.\n",
    }


def write(root: Path, count: int, hcl2: int) -> list[Path]:
    """``count`` packages, each tenth from an image from outside, the others from it; and a small ``common/``.

    The last ``hcl2`` packages have HCL2 templates.
    """
    made = []
    for number in range(count):
        name, parent = f"package-{number:05}", f"package-{number // 10 * 10:05}"
        for path, text in recipe(name, parent if number % 10 else "", number >= count - hcl2).items():
            made.append(root / "packages" / name / path)
            made[-1].parent.mkdir(parents=True, exist_ok=True)
            made[-1].write_text(text)
    for path in ("common/etc/sysctl.conf", "common/spack-install.sh"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("# shared\n")
    return made


def run(root: Path) -> dict[str, Any]:
    begin = time.perf_counter()
    command = [sys.executable, str(Path(__file__).with_name("_plan_once.py")), str(root)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    figures: dict[str, Any] = json.loads(done.stdout)
    return {"seconds": time.perf_counter() - begin, **figures}


def median(runs: list[dict[str, Any]]) -> dict[str, float]:
    keys = ("seconds", "import", "plan", "memory_mb")
    return {key: round(statistics.median(one[key] for one in runs), 3) for key in keys}


def cold(root: Path) -> dict[str, Any]:
    shutil.rmtree(root / "cache", ignore_errors=True)
    return run(root)


def edited(root: Path, file: Path) -> dict[str, Any]:
    """One byte of a file that reaches an image, its size and time as before."""
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[-2] = ord("x") if content[-2] != ord("x") else ord("y")
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    return run(root)


def sha256sum(files: list[Path]) -> float:
    names = b"\0".join(os.fsencode(file) for file in files)
    begin = time.perf_counter()
    subprocess.run(["xargs", "-0", "sha256sum"], input=names, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def measure(count: int, hcl2: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = write(root, count, hcl2)
        colds = [cold(root) for _ in range(3)]
        warms, edits, sums = [], [], []
        for _ in range(REPEATS):
            sums.append(sha256sum(files))
            warms.append(run(root))
            edits.append(edited(root, files[3]))
            assert warms[-1]["digests"] != edits[-1]["digests"], "an edit was missed"
        assert colds[-1]["images"] == count
        base = statistics.median(sums)
        figures = {"cold": median(colds), "warm": median(warms), "edited": median(edits)}
        ratios = {f"{key} / sha256sum": round(figures[key]["seconds"] / base, 2) for key in ("warm", "edited")}
        return {"recipes": count, "hcl2": hcl2, "sha256sum": round(base, 3), **figures, **ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", type=int, default=1000)
    parser.add_argument("--hcl2", type=int, default=0)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    text = json.dumps(measure(chosen.recipes, chosen.hcl2), indent=2)
    print(text)
    if chosen.json:
        chosen.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
