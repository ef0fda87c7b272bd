"""A small checkout on the fake oven, and the command line in it: as a process, or within this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner, Result

from bakery.cli.app import make_app
from bakery.lock import file as lock_file
from tests.support.plan_builders import LOCK, build, template
from tests.support.root import ROOT

COMMAND = (sys.executable, "-W", "error", "-c", "from bakery.cli.app import main; main()")


@dataclass
class Checkout:
    """A checkout with two packages, ``base`` and ``app`` on top of it, on the fake oven."""

    root: Path
    fake: dict[str, Any] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(self.root / "cache"), "NO_COLOR": "1"}

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The command line as a process of its own."""
        return subprocess.run(
            [*COMMAND, *arguments], cwd=self.root, env={**self.environment(), **environment},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, to be interrupted."""
        return subprocess.Popen(
            [*COMMAND, *arguments], cwd=self.root, env=self.environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def invoke(self, *arguments: str) -> Result:
        """The command line within this process, whose working directory is the checkout."""
        return CliRunner().invoke(make_app(*arguments[:1]), arguments, catch_exceptions=False)

    def configure(self, **fake: Any) -> None:
        """Tell the fake oven and the fake clusters what to do."""
        self.settings(oven="fake", fake=fake)

    def settings(self, stack: str = "dev", **values: Any) -> None:
        config = {f"image-bakery:{key}": value for key, value in values.items()}
        (self.root / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": config}))

    def package(self, name: str, parent: str) -> None:
        folder = self.root / "packages" / name
        values = {
            "_ZONE": "z",
            "_SUBNETWORK": "s",
            "_MACHINE_TYPE": "m",
            "_SOURCE_IMAGE_FAMILY": parent,
            "_SOURCE_IMAGE_PROJECT": "debian-cloud",
            "_IMAGE_NAME": name,
            "_IMAGE_FAMILY": name,
            "_COMPILER": "gcc",
            "_PKG_PATH": f"packages/{name}",
        }
        (folder / "share").mkdir(parents=True)
        (folder / "share" / "motd").write_text("hello\n")
        (folder / "packer.json").write_text(json.dumps(template()))
        (folder / "cloudbuild.yaml").write_text(json.dumps({**build(**values), "timeout": "600s"}))
        (folder / "install.sh").write_text("#!/bin/bash\nset -euo pipefail\ntrue\n")

    def suite(self, name: str, *directories: str) -> None:
        """Give a package a test for each output directory."""
        script = self.root / "packages" / name / "test" / "run.sh"
        script.parent.mkdir(exist_ok=True)
        script.write_text("#!/bin/bash\ntrue\n")
        script.chmod(0o755)
        jobs = [
            {
                "command_group": name,
                "execution_command": f"packages/{name}/test/run.sh",
                "output_directory": directory,
                "partition": "debug",
                "batch_options": "--nodes=2",
                "metrics": [{"name": "speed", "pattern": r"speed: (\S+)", "unit": "GB/s", "reference": 2.5}],
            }
            for directory in directories
        ]
        (self.root / "packages" / name / "fluidrun.yaml").write_text(yaml.safe_dump({"tests": jobs}))


def make(root: Path) -> Checkout:
    """The checkout in an empty folder."""
    made = Checkout(root)
    (root / "bakery").mkdir()
    (root / "common").mkdir()
    (root / "Pulumi.yaml").write_text("name: image-bakery\n")
    made.configure()
    lock_file.write(root / "bakery.lock", LOCK)
    made.package("base", "debian-12")
    made.package("app", "base")
    return made
