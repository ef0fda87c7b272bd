"""The workflows of GitHub and GitLab: valid by their schemas, shellchecked, and run step by step."""

from __future__ import annotations

import json
import os
import re
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from bakery.operations.init import init
from tests.support.checkout import COMMAND
from tests.support.root import ROOT

OWN = ROOT / ".github" / "workflows" / "plan.yaml"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository as `bakery init` makes it, with a first commit and a second one that changes a recipe."""
    folder = tmp_path / "images"
    init(folder)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "first")
    script = folder / "packages" / "hello" / "install.sh"
    script.write_text(script.read_text() + "echo changed\n")
    commit(folder, "second")
    return folder


def git(folder: Path, *words: str) -> str:
    author = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(["git", *author, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def vendored(name: str) -> Any:
    return json.loads(resources.files("check_jsonschema").joinpath(f"builtin_schemas/vendor/{name}.json").read_text())


def loaded(file: Path) -> Any:
    """YAML 1.2, as both services read it: `on` is a string."""
    content = yaml.safe_load(file.read_text())
    return {"on" if key is True else key: value for key, value in content.items()}


def scripts(file: Path) -> dict[str, str]:
    """The shell steps of a workflow or pipeline, by job and step."""
    found = {}
    content = loaded(file)
    for name, job in content.get("jobs", content).items():
        if not isinstance(job, dict):
            continue
        for step in job.get("steps", ()):
            if "run" in step:
                found[f"{name}: {step['name']}"] = step["run"]
        if "script" in job:
            found[name] = "\n".join(job["script"])
    return found


@pytest.mark.parametrize(
    ("file", "schema"),
    [(".github/workflows/images.yaml", "github-workflows"), (".gitlab-ci.yml", "gitlab-ci"), (OWN, "github-workflows")],
)
def test_the_workflow_has_the_services_schema(repository: Path, file: Path, schema: str) -> None:
    faults = [error.message for error in Draft7Validator(vendored(schema)).iter_errors(loaded(repository / file))]
    assert faults == []
    spoilt = loaded(repository / file)
    next(job for job in spoilt.get("jobs", spoilt).values() if isinstance(job, dict))["rulez"] = 3
    spoilt["stages"] = 3
    assert list(Draft7Validator(vendored(schema)).iter_errors(spoilt))


@pytest.mark.parametrize("file", [".github/workflows/images.yaml", ".gitlab-ci.yml", OWN])
def test_shellcheck_has_nothing_to_say(repository: Path, file: Path) -> None:
    steps = scripts(repository / file)
    assert len(steps) >= 3
    for name, script in steps.items():
        text = "#!/bin/bash -e\n" + re.sub(r"\$\{\{.*?\}\}", "x", script)
        done = subprocess.run(["shellcheck", "-"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stdout}"


class Runner:
    """Runs steps as GitHub does, with a stand-in of `gh` that notes what it is asked."""

    def __init__(self, folder: Path, existing: str = "") -> None:
        self.folder = folder
        self.calls = folder.parent / "calls"
        self.calls.touch()
        tools = folder.parent / "tools"
        tools.mkdir()
        self.add(
            tools / "gh", f'printf "%s\\n" "$*" >> {self.calls}\ncase "$*" in *--paginate*) echo "{existing}" ;; esac'
        )
        self.add(tools / "bakery", f'exec {COMMAND[0]} -c "{COMMAND[-1]}" "$@"')
        self.environment = {
            **os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "GITHUB_REPOSITORY": "o/r",
            "GITHUB_OUTPUT": str(folder.parent / "output"), "GITHUB_STEP_SUMMARY": str(folder.parent / "summary"),
            "COMMENTS": "repos/o/r/issues/7/comments", "BAKERY_STACK": "dev", "XDG_CACHE_HOME": str(folder.parent),
            "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
        }  # fmt: skip

    def add(self, file: Path, script: str) -> None:
        file.write_text(f"#!/bin/bash\n{script}\n")
        file.chmod(0o755)

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.folder, env={**self.environment, **environment}, capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("existing", "call"), [("", "--method POST repos/o/r/issues/7/comments"), ("9", "--method PATCH")]
)
def test_a_pull_request_gets_one_comment_with_the_changed_images(repository: Path, existing: str, call: str) -> None:
    steps, runner = scripts(repository / ".github/workflows/images.yaml"), Runner(repository, existing)
    done = runner.run(steps["plan: Plan"])
    assert (done.returncode, done.stderr) == (0, "")
    assert (repository.parent / "output").read_text() == "code=0\n"
    plan = (repository / "plan.md").read_text()
    assert plan.startswith("<!-- image-bakery plan -->")
    assert "hello-" in plan and "install.sh" in plan
    assert "rcc-debian" not in plan.partition("<details>")[0].replace("from rcc-debian", "")
    done = runner.run(steps["plan: Comment"])
    assert done.returncode == 0, done.stderr
    assert call in runner.calls.read_text()


def test_errors_of_a_recipe_are_in_the_comment_and_fail_the_job(repository: Path) -> None:
    (repository / "packages" / "hello" / "packer.json").write_text("{")
    commit(repository, "broken")
    steps, runner = scripts(repository / ".github/workflows/images.yaml"), Runner(repository)
    assert runner.run(steps["plan: Plan"]).returncode == 0
    assert "packages/hello/packer.json" in (repository / "plan.md").read_text()
    code = (repository.parent / "output").read_text().removeprefix("code=").strip()
    assert runner.run(steps["plan: Exit with the code of the plan"], CODE=code).returncode == 2


def test_gitlabs_plan_is_the_same(repository: Path) -> None:
    runner = Runner(repository)
    done = runner.run(scripts(repository / ".gitlab-ci.yml")["plan"], CI_MERGE_REQUEST_DIFF_BASE_SHA="HEAD^")
    assert done.returncode == 0, done.stderr
    assert "install.sh" in done.stdout


def test_newer_base_images_become_one_pull_request(repository: Path) -> None:
    origin = repository.parent / "origin.git"
    git(repository, "init", "--quiet", "--bare", str(origin))
    git(repository, "remote", "add", "origin", str(origin))
    step, runner = (
        scripts(repository / ".github/workflows/images.yaml")["lock: Update the pins of the base images"],
        Runner(repository),
    )
    real = repository.parent / "tools" / "bakery"
    real.rename(real.with_name("real"))
    newer = "[ ! -e newer ] || sed -i s/77737fa4/88848fb5/ bakery.lock"  # the digest of Debian's release file
    runner.add(real, f'if [ "$1" = lock ]; then {newer}; else exec {real.with_name("real")} "$@"; fi')
    done = runner.run(step)
    assert (done.returncode, done.stdout) == (0, "no base image is newer than its pin\n")
    (repository / "newer").touch()
    done = runner.run(step)
    assert done.returncode == 0, done.stderr
    assert "88848fb5" in git(origin, "show", "bakery-lock:bakery.lock")
    assert "pr create --head bakery-lock" in runner.calls.read_text()
    plan = (repository / "plan.md").read_text()
    assert "2 images: 2 baked" in plan and "debian-12" in plan
