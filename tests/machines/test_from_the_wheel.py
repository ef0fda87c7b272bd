"""From the built wheel to tested images, as a new user goes: pip install, ``bakery init``, ``pulumi up``; no checkout.

Each step's seconds are recorded in the report and printed. The dependencies are fetched; the engine is that of PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support import workshop
from tests.support.root import ROOT

pytestmark = [pytest.mark.machines, pytest.mark.slow]
Step = Callable[..., str]


@pytest.fixture
def step(tmp_path: Path, record_testsuite_property: Callable[[str, object], None]) -> Step:
    """Return a function that runs a command of a named step in an empty folder and returns what it prints."""
    folder, venv = tmp_path / "images", tmp_path / "venv"
    folder.mkdir()
    engine = shutil.which("pulumi")
    assert engine, "there is no pulumi on PATH: run `make setup`"
    environment = workshop.environment(folder, tmp_path / "pulumi-home", str(Path(engine).parent))
    path = os.pathsep.join([str(venv / "bin"), str(Path(engine).parent), os.environ["PATH"]])
    environment |= {"PATH": path, "VIRTUAL_ENV": str(venv), "PULUMI_BACKEND_URL": f"file://{tmp_path}"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    del environment["PYTHONPATH"]  # pip is the user's own

    def step(name: str, *command: str | Path) -> str:
        began = time.monotonic()
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - began
        record_testsuite_property(name, round(seconds, 1))
        print(f"{seconds:7.1f} s  {name}")
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    return step


def test_a_new_user_goes_from_the_wheel_to_tested_images(step: Step, tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT)
    subprocess.run(pip, check=True, capture_output=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    step("virtual environment", sys.executable, "-m", "venv", tmp_path / "venv")
    step("pip install", "pip", "install", "--quiet", wheel)
    step("bakery init", "bakery", "init")
    doctor = step("bakery doctor", "bakery", "doctor")
    assert "nothing is missing" in doctor
    step("stack init", "pulumi", "stack", "init", "dev")
    assert "baked: hello has no image yet" in step("first preview", "pulumi", "preview", "--non-interactive")
    step("bakery plan", "bakery", "plan")
    step("up", "pulumi", "up", "--yes", "--skip-preview", "--non-interactive")
    library = json.loads(step("bakery library", "bakery", "library", "--json"))
    images = {image["family"]: image for image in library["images"]}
    assert set(images) == set(library["families"]) == {"rcc-debian", "hello"}
    for family, image in images.items():
        assert (image["state"], image["proof"], image["verdict"]) == ("ACTIVE", "passed", "passed")
        assert library["families"][family] == image["name"]
    outputs = json.loads(step("stack output", "pulumi", "stack", "output", "--json"))
    assert Path(outputs["images"]["hello"]["link"]).is_file()
    assert yaml.safe_load((tmp_path / "images" / "Pulumi.dev.yaml").read_text())["config"]["images:oven"] == "local"
