"""Runs the shell steps of workflows and pipelines, as GitHub and GitLab do, with stand-ins of what needs a network."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

WORKFLOW, PIPELINE = ".github/workflows/bakery.yaml", ".gitlab-ci.yml"
# Each notes its arguments; the answer is in a file of the folder, if there is one.
STAND_IN = """
printf "%s %s\\n" "{name}" "$*" >> "{folder}/calls"
[ ! -f "{folder}/{name}.answer" ] || cat "{folder}/{name}.answer"
"""


def loaded(file: Path) -> Any:
    """YAML 1.2, as both services read it: `on` is a string."""
    content = yaml.safe_load(file.read_text())
    return {"on" if key is True else key: value for key, value in content.items()}


def scripts(file: Path) -> dict[str, str]:
    """The shell steps of a workflow or pipeline, by job and step."""
    found = {}
    content = loaded(file)
    for name, job in content.get("jobs", content).items():
        if isinstance(job, dict):
            found |= {f"{name}: {step['name']}": step["run"] for step in job.get("steps", ()) if "run" in step}
            found |= {f"{name} {key}": "\n".join(job[key]) for key in ("before_script", "script") if key in job}
    return found


class Runner:
    """Runs steps in ``folder``; ``tools`` has the stand-ins, and what they were asked."""

    def __init__(self, folder: Path, tools: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.tools = tools
        tools.mkdir()
        for name in ("gh", "curl", "pip"):
            self.add(name, STAND_IN.format(name=name, folder=tools))
        self.environment = {
            **environment, "PATH": f"{tools}:{environment.get('PATH', os.environ['PATH'])}", "BAKERY_STACK": "dev",
            "GITHUB_REPOSITORY": "o/r", "GITHUB_OUTPUT": str(tools / "output"), "GITHUB_REF_NAME": "main",
            "GITHUB_STEP_SUMMARY": str(tools / "summary"), "COMMENTS": "repos/o/r/issues/7/comments",
            "GITHUB_WORKFLOW_REF": "o/r/.github/workflows/images.yaml@refs/heads/main",
            "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org", "HOME": str(tools),
            "MARK": "<!-- image-bakery plan of images -->",
        }  # fmt: skip

    def add(self, name: str, script: str) -> None:
        """Put a program before those of the same name."""
        file = self.tools / name
        file.write_text(f"#!/bin/bash\n{script}\n")
        file.chmod(0o755)

    def answer(self, name: str, text: str) -> None:
        """Let a stand-in print something."""
        (self.tools / f"{name}.answer").write_text(text)

    @property
    def calls(self) -> list[str]:
        """What the stand-ins were asked."""
        file = self.tools / "calls"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def outputs(self) -> dict[str, str]:
        """The outputs of the steps."""
        file = self.tools / "output"
        return dict(line.split("=", 1) for line in file.read_text().splitlines()) if file.exists() else {}

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.folder, env={**self.environment, **environment}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def must_run(self, script: str, **environment: str) -> str:
        """Run a step that has to end well; return what it prints."""
        done = self.run(script, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
