"""The workflows of GitHub and GitLab: valid by their schemas, shellchecked, and run step by step.

``tests/engine/test_workflows.py`` runs the steps that need the engine.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from google.auth import identity_pool
from jsonschema import Draft7Validator

from bakery.operations.init import init
from tests.support.ci import PIPELINE, WORKFLOW, Runner, loaded, scripts
from tests.support.layouts import commit, git
from tests.support.root import ROOT
from tools import build_actionlint

OWN = ROOT / ".github" / "workflows" / "plan.yaml"
CALLER = ".github/workflows/images.yaml"
SUBFOLDER = "infra/site"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository as `bakery init` makes it, with a first commit and a second one that changes a recipe."""
    folder = tmp_path / "images"
    init(folder)
    return committed(folder, folder)


@pytest.fixture
def subfolder(tmp_path: Path) -> Path:
    """The same in a subfolder of a repository."""
    top = tmp_path / "images"
    top.mkdir()
    git(top, "init", "--quiet", "--initial-branch", "main")
    init(top / SUBFOLDER)
    return committed(top, top / SUBFOLDER)


def committed(top: Path, folder: Path) -> Path:
    git(top, "init", "--quiet", "--initial-branch", "main")
    commit(top, "first")
    script = folder / "packages" / "hello" / "install.sh"
    script.write_text(script.read_text() + "echo changed\n")
    commit(top, "second")
    return folder


@pytest.fixture
def make_runner(tmp_path: Path) -> Callable[[Path], Runner]:
    def make(folder: Path) -> Runner:
        return Runner(folder, tmp_path / "tools", {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")})

    return make


def vendored(name: str) -> Any:
    return json.loads(resources.files("check_jsonschema").joinpath(f"builtin_schemas/vendor/{name}.json").read_text())


FILES = [
    (WORKFLOW, "github-workflows"),
    (CALLER, "github-workflows"),
    (PIPELINE, "gitlab-ci"),
    (OWN, "github-workflows"),
]


def faults(file: Path, schema: str) -> list[str]:
    return [error.message for error in Draft7Validator(vendored(schema)).iter_errors(loaded(file))]


@pytest.mark.parametrize(("file", "schema"), FILES)
def test_the_workflow_has_the_services_schema(repository: Path, file: Path, schema: str) -> None:
    assert faults(repository / file, schema) == []
    spoilt = loaded(repository / file)
    next(job for job in spoilt.get("jobs", spoilt).values() if isinstance(job, dict))["rulez"] = 3
    spoilt["stages"] = 3
    assert list(Draft7Validator(vendored(schema)).iter_errors(spoilt))


def test_the_workflows_of_a_subfolder_are_valid_too(subfolder: Path) -> None:
    top = subfolder.parents[1]
    assert faults(top / ".github/workflows/images-site.yaml", "github-workflows") == []
    assert faults(subfolder / PIPELINE, "gitlab-ci") == []


@pytest.mark.slow
def test_actionlint_has_nothing_to_say(repository: Path) -> None:
    program = build_actionlint.folder() / "actionlint"
    lint = [program, WORKFLOW, CALLER, OWN]
    done = subprocess.run(lint, cwd=repository, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    file = repository / CALLER
    file.write_text(file.read_text().replace("round: ${{", "rounds: ${{"))
    done = subprocess.run(lint, cwd=repository, capture_output=True, text=True, check=False)
    assert 'input "rounds" is not defined' in done.stdout


@pytest.mark.parametrize("file", [WORKFLOW, PIPELINE, OWN])
def test_shellcheck_has_nothing_to_say(repository: Path, file: Path) -> None:
    steps = scripts(repository / file)
    assert len(steps) >= 3
    for name, script in steps.items():
        text = "#!/bin/bash -e\n" + re.sub(r"\$\{\{.*?\}\}", "x", script)
        done = subprocess.run(["shellcheck", "-"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stdout}"


def test_every_shell_step_is_run_by_a_test(repository: Path) -> None:
    tests = Path(__file__).read_text() + (ROOT / "tests/engine/test_workflows.py").read_text()
    steps = [name for file in (WORKFLOW, PIPELINE) for name in scripts(repository / file)]
    assert len(steps) > 8
    assert [name for name in steps if f'"{name}"' not in tests] == []
    assert scripts(repository / CALLER) == {}


def test_the_bakery_of_the_repository_is_installed(repository: Path, make_runner: Callable[[Path], Runner]) -> None:
    runner, steps = make_runner(repository), scripts(repository / WORKFLOW)
    for name in ("plan: Install the bakery", "up: Install the bakery", "lock: Install the bakery"):
        runner.must_run(steps[name])
    runner.must_run(scripts(repository / PIPELINE)[".images before_script"])
    assert runner.calls == ["pip install --requirement requirements.txt"] * 3 + [
        "pip install --quiet --requirement requirements.txt"
    ]


def test_the_pipeline_of_a_subfolder_works_there(subfolder: Path, make_runner: Callable[[Path], Runner]) -> None:
    runner = make_runner(subfolder.parents[1])
    begin = scripts(subfolder / PIPELINE)[".site before_script"]
    assert runner.must_run(f"{begin}\npwd") == f"{subfolder}\n"


@pytest.mark.parametrize(
    ("existing", "call"), [("", "--method POST repos/o/r/issues/7/comments"), ("9", "--method PATCH")]
)
def test_a_pull_request_gets_one_comment_with_the_changed_images(
    repository: Path, make_runner: Callable[[Path], Runner], existing: str, call: str
) -> None:
    steps, runner = scripts(repository / WORKFLOW), make_runner(repository)
    runner.answer("gh", f"{existing}\n")
    runner.must_run(steps["plan: Plan"])
    assert runner.outputs == {"code": "0"}
    plan = (repository / "plan.md").read_text()
    assert plan.startswith("<!-- image-bakery plan of images -->\n")
    assert "hello-" in plan and "install.sh" in plan
    assert "rcc-debian" not in plan.partition("<details>")[0].replace("from rcc-debian", "")
    assert "no earlier time" in plan or "unknown" in plan
    runner.must_run(steps["plan: Comment"])
    assert call in runner.calls[-1]


def test_the_time_is_predicted_from_what_the_last_up_knew(
    repository: Path, make_runner: Callable[[Path], Runner]
) -> None:
    images = [{"candidate_for": "hello", "created": f"2026-01-0{day}", "bake_seconds": 60.0 * day} for day in (2, 1)]
    (repository / "library.json").write_text(json.dumps({"images": images}))
    runner = make_runner(repository)
    runner.must_run(scripts(repository / WORKFLOW)["plan: Plan"])
    assert "2 min" in (repository / "plan.md").read_text()
    (repository / "library.json").write_text('{"images": [{}]}')
    done = runner.run("bakery plan --times library.json")
    assert done.returncode == 2
    assert "library.json:1: error: can't be read: not the output of bakery library --json" in done.stderr


def test_errors_of_a_recipe_are_in_the_comment_and_fail_the_job(
    repository: Path, make_runner: Callable[[Path], Runner]
) -> None:
    (repository / "packages" / "hello" / "packer.json").write_text("{")
    commit(repository, "broken")
    steps, runner = scripts(repository / WORKFLOW), make_runner(repository)
    runner.must_run(steps["plan: Plan"])
    assert "packages/hello/packer.json" in (repository / "plan.md").read_text()
    assert runner.run(steps["plan: Exit with the code of the plan"], CODE=runner.outputs["code"]).returncode == 2


@pytest.mark.parametrize("token", ["", "t0ken"])
def test_gitlabs_plan_is_the_same(repository: Path, make_runner: Callable[[Path], Runner], token: str) -> None:
    runner, given = make_runner(repository), {"CI_API_V4_URL": "https://git.example/api/v4", "CI_PROJECT_ID": "3"}
    given |= {"CI_MERGE_REQUEST_DIFF_BASE_SHA": "HEAD^", "CI_MERGE_REQUEST_IID": "5", "GITLAB_TOKEN": token}
    assert "install.sh" in runner.must_run(scripts(repository / PIPELINE)["images-plan script"], **given)
    asked = [call for call in runner.calls if "https://git.example/api/v4/projects/3/merge_requests/5/notes" in call]
    assert len(asked) == bool(token)


def pinned(folder: Path, runner: Runner) -> None:
    """Let `bakery lock` find a newer base: another digest of Debian's release file."""
    real = shutil.which("bakery")
    assert real
    edit = "[ ! -e newer ] || { sed -i s/77737fa4/88848fb5/ bakery.lock; echo '| debian-12 | newer |'; }"
    runner.add("bakery", f'if [ "$1" = lock ]; then {edit}; else exec {shlex.quote(real)} "$@"; fi')
    origin = runner.tools / "origin.git"
    git(folder, "init", "--quiet", "--bare", str(origin))
    git(origin, "config", "receive.advertisePushOptions", "true")
    git(folder, "remote", "add", "origin", str(origin))
    git(folder, "config", f"url.{origin}.insteadOf", "https://bakery:t0ken@git.example/g/p.git")


def newer(folder: Path, runner: Runner, step: str, branch: str, **environment: str) -> str:
    """Run the step that updates pins, without and with a newer base; return the text of the request."""
    pinned(folder, runner)
    assert runner.must_run(step, **environment) == "no base image is newer than its pin\n"
    (folder / "newer").touch()
    runner.must_run(step, **environment)
    path = folder.relative_to(Path(git(folder, "rev-parse", "--show-toplevel").strip())) / "bakery.lock"
    assert "88848fb5" in git(runner.tools / "origin.git", "show", f"{branch}:{path}")
    text = (folder / "request.md").read_text()
    assert text.startswith("| debian-12 | newer |\n")
    assert "2 images: 2 baked" in text and "debian-12" in text
    return text


@pytest.mark.parametrize("made", ["repository", "subfolder"])
@pytest.mark.parametrize(("existing", "call"), [("", "create --head"), ("7", "edit")])
def test_newer_base_images_become_one_pull_request(
    request: pytest.FixtureRequest, make_runner: Callable[[Path], Runner], made: str, existing: str, call: str
) -> None:
    folder: Path = request.getfixturevalue(made)
    runner = make_runner(folder)
    runner.answer("gh", existing)
    step = scripts(Path(git(folder, "rev-parse", "--show-toplevel").strip()) / WORKFLOW)
    newer(folder, runner, step["lock: Update the pins of the base images"], "bakery-lock-images")
    assert f"gh pr {call} bakery-lock-images" in runner.calls[-1]
    assert "--body-file request.md" in runner.calls[-1]


def test_newer_base_images_become_one_merge_request(repository: Path, make_runner: Callable[[Path], Runner]) -> None:
    runner = make_runner(repository)
    runner.answer("curl", '[{"iid": 12}]')
    given = {"CI_API_V4_URL": "https://git.example/api/v4", "CI_PROJECT_ID": "3", "GITLAB_TOKEN": "t0ken"}
    given |= {"CI_SERVER_HOST": "git.example", "CI_PROJECT_PATH": "g/p"}
    newer(repository, runner, scripts(repository / PIPELINE)["images-lock script"], "bakery-lock-images", **given)
    assert "--request PUT" in runner.calls[-1]
    assert runner.calls[-1].endswith("description@request.md https://git.example/api/v4/projects/3/merge_requests/12")


def test_a_job_of_gitlab_logs_in_with_its_token(repository: Path, make_runner: Callable[[Path], Runner]) -> None:
    """The provider and the account are those that ``google.ci`` declares; Google's client reads the credentials."""
    provider = "projects/1/locations/global/workloadIdentityPools/bakery-ci/providers/gitlab"
    account = "bakery-deploy@p.iam.gserviceaccount.com"
    job = loaded(repository / PIPELINE)["images-up"]
    assert job["id_tokens"] == {"GOOGLE_TOKEN": {"aud": "https://iam.googleapis.com/$WORKLOAD_IDENTITY_PROVIDER"}}
    (login,) = [script for script in job["script"] if "GOOGLE_TOKEN" in script]
    given = {"WORKLOAD_IDENTITY_PROVIDER": provider, "SERVICE_ACCOUNT": account, "GOOGLE_TOKEN": "header.claims.sign"}
    runner = make_runner(repository)
    file = runner.must_run(f'{login}\necho "$GOOGLE_APPLICATION_CREDENTIALS"', **given).strip()
    credentials = identity_pool.Credentials.from_file(file)
    assert credentials.retrieve_subject_token(None) == "header.claims.sign"
    assert credentials.service_account_email == account
    assert credentials.info["audience"] == f"//iam.googleapis.com/{provider}"
    assert runner.must_run(f'{login}\necho "${{GOOGLE_APPLICATION_CREDENTIALS:-}}"') == "\n"
    Path(file).unlink()


def test_a_job_that_continues_starts_the_workflow_that_called_it(
    repository: Path, make_runner: Callable[[Path], Runner]
) -> None:
    step, runner = scripts(repository / WORKFLOW)["up: Continue in another job"], make_runner(repository)
    runner.must_run(step, ROUND="3")
    assert runner.calls == ["gh workflow run images.yaml --repo o/r --ref main --field round=4"]
    done = runner.run(step, ROUND="10")
    assert done.returncode == 1
    assert "is a bake longer than one of them?" in done.stderr
    assert len(runner.calls) == 1
    dispatched = loaded(repository / CALLER)["on"]["workflow_dispatch"]["inputs"]
    assert list(dispatched) == ["round"]
