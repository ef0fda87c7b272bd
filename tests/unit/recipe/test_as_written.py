"""Recipes as people write them: what decides an image is in its digest, and what Packer takes is no error.

Every rule was tried with Packer 1.6.6, or rests on the documentation that the module in question names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from bakery.lock import file as lock_file
from bakery.preview.plan_report import PlanReport, plan_report
from bakery.settings import parse
from tests.support import recipe_tree
from tests.support.every import every
from tests.support.plan_builders import LOCK

APP = "packages/app"
VARIABLES = {"pkg_path": APP, "project_id": "", "image_name": "app", "image_family": "app", "level": "default"}
BUILDER = {
    "type": "googlecompute",
    "project_id": "{{user `project_id`}}",
    "zone": "us-central1-a",
    "source_image_family": "debian-12",
    "source_image_project_id": "debian-cloud",
    "image_family": "{{user `image_family`}}",
    "image_name": "{{user `image_name`}}",
    "ssh_username": "packer",
}
INSTALL = {
    "type": "shell",
    "script": "{{user `pkg_path`}}/install.sh",
    "environment_vars": ["LEVEL={{user `level`}}"],
}


def template(**changes: Any) -> dict[str, Any]:
    return {"variables": VARIABLES, "builders": [BUILDER], "provisioners": [INSTALL]} | changes


def packer(*words: str, **more: Any) -> dict[str, Any]:
    return {"id": "Bake", "name": "hashicorp/packer", "args": ["build", *words, f"{APP}/packer.json"], **more}


def sh(text: str, **more: Any) -> dict[str, Any]:
    return {"id": "Bake", "name": "hashicorp/packer", "entrypoint": "sh", "args": ["-c", text], **more}


def plan(
    root: Path,
    made: Mapping[str, Any] | str | None = None,
    build: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
) -> PlanReport:
    """The plan of a tree with one package: its template, its build, and more files by their paths from the top."""
    content = made if isinstance(made, str) else json.dumps(made or template(), indent=1)
    recipe_tree.put(root / APP / "packer.json", content)
    recipe_tree.put(root / APP / "install.sh", "#!/bin/bash\n")
    recipe_tree.put(root / APP / "cloudbuild.yaml", yaml.safe_dump(build or {"steps": [packer()]}, sort_keys=False))
    (root / "common").mkdir(exist_ok=True)
    for path, text in (files or {}).items():
        recipe_tree.put(root / path, text)
    lock_file.write(root / "bakery.lock", LOCK)
    return plan_report(parse({"oven": "fake"}, "dev", root))


def digest(report: PlanReport) -> str:
    assert not errors(report), errors(report)
    (decision,) = report.decisions
    return decision.image.digest


def errors(report: PlanReport) -> list[str]:
    return [str(problem) for problem in report.problems if problem.severity == "error"]


def warnings(report: PlanReport, about: str) -> list[str]:
    return [str(problem) for problem in report.problems if problem.severity == "warning" and about in str(problem)]


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    return tmp_path / "one", tmp_path / "two"


WHOLE = "count as a whole"
STEPS: Mapping[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "two dashes": ([packer("--var", "level=${_LEVEL}")], {}, ""),
    "two dashes, one word": ([packer("--var=level=$_LEVEL")], {}, ""),
    "after other flags": ([packer("-on-error", "abort", "-color=false", "-var", "level=$_LEVEL")], {}, ""),
    "an expansion": ([packer("-var", "level=${_LEVEL//./-}")], {"dynamicSubstitutions": True}, ""),
    "a default": ([packer("-var", "level=${_LEVEL:-none}")], {"dynamicSubstitutions": True}, ""),
    "an unknown expansion": ([packer("-var", "level=${_LEVEL//[.]/-}")], {"dynamicSubstitutions": True}, WHOLE),
    "the environment": ([sh(f'packer build -var "level=$$L" {APP}/packer.json', env=["L=${_LEVEL}"])], {}, WHOLE),
    "the environment of all steps": (
        [sh(f"packer build -var level=$$L {APP}/packer.json")],
        {"env": ["L=$_LEVEL"]},
        WHOLE,
    ),
    "a shell's variable": ([sh(f'L="${{_LEVEL}}"; packer build -var "level=$${{L}}" {APP}/packer.json')], {}, WHOLE),
    "a command's output": ([sh(f"packer build -var level=$$(echo ${{_LEVEL}}) {APP}/packer.json")], {}, WHOLE),
    "a script": ([{"name": "x/packer", "script": f"packer build -var level=$_LEVEL {APP}/packer.json"}], {}, WHOLE),
    "snake case": (
        [{"name": "x/packer", "script": f"packer build -var level=$_LEVEL {APP}/packer.json"}],
        {"automap_substitutions": True},
        "",
    ),
    "a step before": (
        [{"name": "bash", "args": ["-c", "echo ${_LEVEL} >packages/app/install.sh"]}, packer()],
        {},
        WHOLE,
    ),
    "another tool before": ([{"name": "gcr.io/x/prepare", "args": ["--level=$_LEVEL"]}, packer()], {}, WHOLE),
    "an expansion of no known form": ([packer("-var", "level=${!_LEVEL}")], {}, WHOLE),
    "a script that may run Packer": (
        [{"name": "x/packer", "entrypoint": "bash", "args": [f"{APP}/bake.sh", "$_LEVEL"]}],
        {},
        WHOLE,
    ),
    "make": ([{"name": "x/packer", "entrypoint": "make", "args": ["-C", APP, "LEVEL=$_LEVEL"]}], {}, WHOLE),
}


@pytest.mark.parametrize("title", STEPS)
def test_what_a_build_passes_is_in_the_digest(roots: tuple[Path, Path], title: str) -> None:
    steps, options, note = STEPS[title]
    reports = [
        plan(root, build={"steps": steps, "substitutions": {"_LEVEL": level}, "options": options})
        for root, level in zip(roots, ("1.2", "9.9"), strict=True)
    ]
    one, two = map(digest, reports)
    assert one != two
    assert [len(warnings(report, WHOLE)) for report in reports] == ([1, 1] if note else [0, 0])


READERS: Mapping[str, tuple[list[dict[str, Any]], str]] = {
    "a script that may run Packer": ([{"name": "x", "entrypoint": "bash", "args": [f"{APP}/a.sh"]}], f"{APP}/a.sh"),
    "make": ([{"name": "x", "entrypoint": "make", "args": ["-C", APP]}], f"{APP}/Makefile"),
    "a program before": ([{"name": "python", "args": ["python3", f"{APP}/a.py"]}, packer()], f"{APP}/data.txt"),
    "a shared program before": ([{"name": "bash", "args": ["common/a.sh"]}, packer()], "common/b.sh"),
    "another package's program": ([{"name": "bash", "args": ["packages/base/a.sh"]}, packer()], "packages/base/a.sh"),
    "in a folder": ([{"name": "bash", "args": ["a.sh"], "dir": "packages/base"}, packer()], "packages/base/a.sh"),
    "a file's content": ([sh(f"packer build -var level=$$(cat {APP}/LEVEL) {APP}/packer.json")], f"{APP}/LEVEL"),
    "sourced": ([sh(f". {APP}/env.sh; packer build -var level=$$L {APP}/packer.json")], f"{APP}/env.sh"),
}


@pytest.mark.parametrize("title", READERS)
def test_files_that_a_step_may_read_count_and_are_staged(roots: tuple[Path, Path], title: str) -> None:
    steps, path = READERS[title]
    files = {"common/a.sh": "", "packages/base/a.sh": ""}
    reports = [
        plan(root, None, {"steps": steps}, {**files, path: content})
        for root, content in zip(roots, ("1", "9"), strict=True)
    ]
    images = [next(one.image for one in report.decisions if one.image.package == "app") for report in reports]
    assert images[0].digest != images[1].digest
    assert [any(name.endswith(Path(path).name) for name in image.inputs) for image in images] == [True, True]


def test_a_shell_that_reads_nothing_leaves_the_other_files_out(roots: tuple[Path, Path]) -> None:
    build = {"steps": [sh(f"packer build -var level=$$L {APP}/packer.json", env=["L=1"])]}
    one, two = (
        digest(plan(root, None, build, {f"{APP}/README.md": content}))
        for root, content in zip(roots, ("1", "9"), strict=True)
    )
    assert one == two


def test_two_dollar_signs_are_one_where_no_shell_runs(roots: tuple[Path, Path]) -> None:
    literal, default = (
        digest(plan(root, None, {"steps": [packer("-var", f"level={value}")], "substitutions": {"_LEVEL": "1"}}))
        for root, value in zip(roots, ("$$_LEVEL", "default"), strict=True)
    )
    assert literal != default, "Packer is given the text $_LEVEL"


@pytest.mark.parametrize("name", ["BUILD_ID", "COMMIT_SHA", "SHORT_SHA"])
def test_a_value_that_no_digest_can_have_is_said(roots: tuple[Path, Path], name: str) -> None:
    said = warnings(plan(roots[0], None, {"steps": [packer("-var", f"level=${name}")]}), "does not count in the digest")
    assert len(said) == 1
    assert f"${name} in the variable level" in said[0]
    named = {"steps": [packer("-var", f"image_name=app-${name}")]}
    assert not warnings(plan(roots[1], None, named), "does not count"), "the plan decides the image's name"


def test_a_value_of_the_environment_is_read_where_packer_reads_it(roots: tuple[Path, Path]) -> None:
    made = template(variables={**VARIABLES, "level": "{{env `LEVEL`}}"})
    one, two = (
        digest(plan(root, made, {"steps": [packer(env=["LEVEL=$_LEVEL"])], "substitutions": {"_LEVEL": level}}))
        for root, level in zip(roots, "12", strict=True)
    )
    assert one != two


@pytest.mark.parametrize("flag", [["-var-file=packages/app/v.json"], ["--var-file", "packages/app/v.json"]])
def test_a_variable_file_is_read_and_counts(roots: tuple[Path, Path], flag: list[str]) -> None:
    made = template(variables={**VARIABLES, "level": None})
    build = {"steps": [packer(*flag)]}
    reports = [
        plan(root, made, build, {f"{APP}/v.json": json.dumps({"level": level, "image_family": "named-there"})})
        for root, level in zip(roots, ("$1", "$2"), strict=True)
    ]
    one, two = map(digest, reports)
    assert one != two
    inputs = reports[0].decisions[0].image.inputs
    assert (inputs["variable level"], f"{APP}/v.json" in inputs) == ("$$1", True)
    assert reports[0].decisions[0].image.family == "named-there"


def test_a_variable_on_the_command_line_wins_over_a_file(roots: tuple[Path, Path]) -> None:
    build = {"steps": [packer("-var", "level=line", "-var-file=common/v.json")]}
    report = plan(roots[0], build=build, files={"common/v.json": '{"level": "file"}'})
    assert not errors(report)
    assert report.decisions[0].image.inputs["variable level"] == "line"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "-var-file 'packages/app/v.json' does not exist"),
        ("[]", "is []"),
        ('{"level": 1}', "variable level is 1"),
    ],
)
def test_a_variable_file_that_packer_refuses(roots: tuple[Path, Path], content: str | None, message: str) -> None:
    files = {} if content is None else {f"{APP}/v.json": content}
    (found,) = errors(plan(roots[0], build={"steps": [packer(f"-var-file={APP}/v.json")]}, files=files))
    assert message in found


HOST_RUN = [
    {"type": "ansible", "playbook_file": f"{APP}/tool/site.yml"},
    {"type": "puppet-masterless", "manifest_file": f"{APP}/tool/site.yml"},
    {"type": "shell-local", "command": "make"},
    {"type": "inspec", "profile": "x"},
    {"type": "file", "source": "made/by/another/step", "generated": True, "destination": "/tmp/x"},
    {"type": "file", "source": "{{user `unknown` | printf `%s`}}/x", "destination": "/tmp/x"},
    {"type": "ansible", "playbook_file": "common/tool/site.yml"},
]


@pytest.mark.parametrize("entry", HOST_RUN, ids=lambda entry: f"{entry['type']} {entry.get('source', '')}")
def test_a_tool_that_reads_what_it_likes_takes_the_whole_package(
    roots: tuple[Path, Path], entry: dict[str, Any]
) -> None:
    made = template(variables={**VARIABLES, "unknown": "x"}, provisioners=[INSTALL, entry])
    common = str(entry.get("playbook_file", "")).startswith("common")
    role = "common/tool/roles/a/tasks/main.yml" if common else f"{APP}/tool/roles/a/tasks/main.yml"
    files = {f"{APP}/tool/site.yml": "", "common/tool/site.yml": ""}
    reports = [plan(root, made, files={**files, role: text}) for root, text in zip(roots, "12", strict=True)]
    one, two = map(digest, reports)
    assert one != two
    assert len(warnings(reports[0], "the whole package counts")) == 1


@pytest.mark.parametrize(
    "path",
    [
        "{{template_dir}}/files/x",
        "{{ template_dir }}/./files/x",
        "{{pwd}}/packages/app/files/x",
        "{{- user `pkg_path` -}}/files/x",
        "{{user `upper` | lower}}/files/x",
        "{{user `pkg_path`}}/files/",
        "./packages/app/files",
        "{{replace_all `_` `/` `packages_app_files_x`}}",
    ],
)
def test_a_path_is_known_as_packer_knows_it(roots: tuple[Path, Path], path: str) -> None:
    made = template(
        variables={**VARIABLES, "upper": "PACKAGES/app".replace("app", "APP")},
        provisioners=[INSTALL, {"type": "file", "source": path, "destination": "/tmp/"}],
    )
    reports = [plan(root, made, files={f"{APP}/files/x": text}) for root, text in zip(roots, "12", strict=True)]
    one, two = map(digest, reports)
    assert one != two
    assert not warnings(reports[0], "whole")


AFTER = {"type": "shell-local", "scripts": [f"{APP}/after.sh"]}
PARTS: Mapping[str, dict[str, Any]] = {
    "post-processor": {"post-processors": [{"type": "shell-local", "script": f"{APP}/after.sh"}]},
    "chain of post-processors": {"post-processors": [["manifest", AFTER]]},
    "clean-up": {"error-cleanup-provisioner": {"type": "shell", "script": f"{APP}/after.sh"}},
    "metadata": {"builders": [{**BUILDER, "metadata_files": {"startup-script": f"{APP}/after.sh"}}]},
    "start-up": {"builders": [{**BUILDER, "startup_script_file": f"{APP}/after.sh"}]},
    "override": {"provisioners": [{**INSTALL, "override": {"googlecompute": {"script": f"{APP}/after.sh"}}}]},
}


@pytest.mark.parametrize("part", PARTS)
def test_every_script_is_staged_or_missed(roots: tuple[Path, Path], part: str) -> None:
    made = template(**PARTS[part])
    (missing,) = errors(plan(roots[0], made))
    assert "packages/app/after.sh' does not exist" in missing
    files = [{f"{APP}/after.sh": text} for text in "12"]
    one, two = (digest(plan(root, made, files=more)) for root, more in zip(roots, files, strict=True))
    assert one != two


@pytest.mark.parametrize(
    "changes",
    [
        {"builders": [{**BUILDER, "some_new_option": "VALUE"}]},
        {"builders": [{**BUILDER, "metadata": {"startup-script": "echo VALUE"}}]},
        {"post-processors": [{"type": "shell-local", "inline": ["echo VALUE"]}]},
        {"builders": [{**BUILDER, "name": "VALUE"}], "provisioners": [{"type": "shell", "inline": ["{{build_name}}"]}]},
        {"variables": {**VARIABLES, "level": "{{user `other`}}", "other": "VALUE"}},
        {
            "variables": {**VARIABLES, "name": "level", "level": "VALUE"},
            "provisioners": [{"type": "shell", "inline": ["{{user (printf `level`)}}"]}],
        },
    ],
    ids=range(6),
)
def test_what_decides_the_image_decides_the_digest(roots: tuple[Path, Path], changes: dict[str, Any]) -> None:
    text = json.dumps(template(**changes))
    one, two = (digest(plan(root, text.replace("VALUE", value))) for root, value in zip(roots, ("x", "y"), strict=True))
    assert one != two


def test_a_sensitive_value_is_shown_nowhere(roots: tuple[Path, Path]) -> None:
    reports = []
    for root, token in zip(roots, ("first-token", "second-token"), strict=True):
        variables = {**VARIABLES, "token": token, "level": "https://{{user `token`}}@example.org"}
        provisioners = [{**INSTALL, "environment_vars": ["T={{user `token`}}", "L={{user `level`}}"]}]
        made = template(variables=variables, provisioners=provisioners)
        reports.append(plan(root, made | {"sensitive-variables": ["token"]}))
    assert digest(reports[0]) != digest(reports[1])
    one, two = (report.decisions[0].image.inputs for report in reports)
    assert one == two
    assert (one["variable token"], one["variable level"]) == ("set", "set")


ACCEPTED: Mapping[str, tuple[dict[str, Any], list[str]]] = {
    "a variable that only the command line has": (
        {"provisioners": [{**INSTALL, "environment_vars": ["V={{user `passed`}}"]}]},
        ["-var", "passed=1"],
    ),
    "the key push": ({"push": {"name": "x"}}, []),
    "comments": ({"comments": [{"_why": "x"}], "_comment": "y"}, []),
    "a root key in capitals": ({"Description": "x"}, []),
    "the word user": ({"provisioners": [{"type": "shell", "inline": ["x {{user `level`}}; adduser user `y`"]}]}, []),
    "no project of the base": (
        {"builders": [{key: value for key, value in BUILDER.items() if key != "source_image_project_id"}]},
        [],
    ),
    "a cleaned name": (
        {"builders": [{**BUILDER, "image_family": "{{user `image_family` | clean_resource_name}}"}]},
        ["-var", "image_family=App.1"],
    ),
}


@pytest.mark.parametrize("title", ACCEPTED)
def test_what_packer_takes_is_no_error(roots: tuple[Path, Path], title: str) -> None:
    changes, words = ACCEPTED[title]
    assert digest(plan(roots[0], template(**changes), {"steps": [packer(*words)]}))


def test_the_base_s_project_may_be_a_substitution(roots: tuple[Path, Path]) -> None:
    own = {key: value for key, value in BUILDER.items() if key != "source_image_project_id"}
    build = {"steps": [packer()], "substitutions": {"_SOURCE_IMAGE_PROJECT": "debian-cloud"}}
    report = plan(roots[0], template(builders=[own]), build)
    assert digest(report)
    assert report.decisions[0].image.base.project == "debian-cloud"


def test_a_value_that_only_the_command_line_has_counts(roots: tuple[Path, Path]) -> None:
    made = template(provisioners=[{**INSTALL, "environment_vars": ["V={{user `passed`}}"]}])
    one, two = (
        digest(plan(root, made, {"steps": [packer("-var", f"passed={value}")]}))
        for root, value in zip(roots, "12", strict=True)
    )
    assert one != two


REFUSED: Mapping[str, tuple[str, dict[str, Any]]] = {
    "a comment that is a list": ("comment _comment is ['a']", {"_comment": ["a"]}),
    "a comment in a builder": ("unknown key _comment", {"builders": [{**BUILDER, "_comment": "x"}]}),
    "a number": ("variable level is 3", {"variables": {**VARIABLES, "level": 3}}),
    "only of nobody": ("only names the builder 'nobody'", {"provisioners": [{**INSTALL, "only": ["nobody"]}]}),
    "except of nobody": ("except names the builder", {"provisioners": [{**INSTALL, "except": ["nobody"]}]}),
    "override of nobody": ("override names the builder", {"provisioners": [{**INSTALL, "override": {"nobody": {}}}]}),
    "only and except": (
        "both only and except",
        {"provisioners": [{**INSTALL, "only": ["googlecompute"], "except": ["googlecompute"]}]},
    ),
    "two builders of one name": (
        "duplicate builder",
        {"builders": [BUILDER, {"type": "qemu", "name": "googlecompute"}]},
    ),
    "no builder that is baked": ("only amazon-ebs", {"builders": [{**BUILDER, "type": "amazon-ebs"}]}),
    "a post-processor without type": ("a post-processor has no type", {"post-processors": [{"x": 1}]}),
    "only of nobody after the bake": (
        "only names the builder",
        {"post-processors": [[{"type": "manifest", "only": ["nobody"]}]]},
    ),
}


@pytest.mark.parametrize("title", REFUSED)
def test_what_packer_refuses_is_an_error(roots: tuple[Path, Path], title: str) -> None:
    message, changes = REFUSED[title]
    found = errors(plan(roots[0], template(**changes)))
    assert len(found) == 1, found
    assert message in found[0]


def test_a_duplicate_field_is_an_error_wherever_it_is(roots: tuple[Path, Path]) -> None:
    text = json.dumps(template(), indent=1).replace('"zone"', '"zone": "x",\n"zone"')
    (found,) = errors(plan(roots[0], text))
    assert "packer.json" in found
    assert "duplicate key zone" in found


def of(*args: str, **more: Any) -> dict[str, Any]:
    return {"id": "Bake", "name": "hashicorp/packer", "args": args, **more}


BAD_BUILDS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "a misspelt key": ("unknown key substitution: ", {"steps": [packer()], "substitution": {}}),
    "a misspelt key of a step": ("did you mean waitFor?", {"steps": [packer(waitfor=["-"])]}),
    "a misspelt option": ("unknown key machine", {"steps": [packer()], "options": {"machine": "x"}}),
    "no list": ("env is 'A=1'; write a list", {"steps": [packer(env="A=1")]}),
    "no mapping": ("options is ['x']; write a mapping", {"steps": [packer()], "options": ["x"]}),
    "waiting for nobody": (
        "waits for 'Nobody', which is not the id of a step",
        {"steps": [packer(waitFor=["Nobody"])]},
    ),
    "two of one id": ("duplicate id Bake", {"steps": [packer(), {"id": "Bake", "name": "bash", "args": ["true"]}]}),
    "an option that Packer does not know": ("has no option -froce", {"steps": [packer("-froce")]}),
    "only of nobody": ("-only=nobody leaves no builder that is baked", {"steps": [packer("-only=nobody")]}),
    "except all": ("leaves no builder that is baked", {"steps": [packer("-except", "googlecompute")]}),
    "the folder of a JSON template": (f"of the folder '{APP}', only", {"steps": [of("build", APP)]}),
    "its folder from a variable": (
        f"write {APP}/packer.json",
        {"steps": [of("build", "$_P/")], "substitutions": {"_P": APP}},
    ),
    "its folder in a shell": (f"write {APP}/packer.json", {"steps": [sh(f"packer build ./{APP}")]}),
}


@pytest.mark.parametrize("title", BAD_BUILDS)
def test_a_build_that_cloud_build_refuses_is_an_error(roots: tuple[Path, Path], title: str) -> None:
    message, build = BAD_BUILDS[title]
    (found,) = errors(plan(roots[0], build=build))
    assert "packages/app/cloudbuild.yaml:" in found
    assert message in found


def test_snake_case_is_what_gcloud_takes(roots: tuple[Path, Path]) -> None:
    secret = {"version_name": "projects/p/secrets/t/versions/1", "env": "TOKEN"}
    build = {"steps": [packer(secret_env=["TOKEN"], wait_for=["-"])], "available_secrets": {"secret_manager": [secret]}}
    assert digest(plan(roots[0], build=build))
    (found,) = errors(plan(roots[1], build={"steps": [packer(secret_environ=["TOKEN"])]}))
    assert "cloudbuild.yaml:7: error: unknown key secret_environ" in found


SUITE = """tests:
- command_group: smoke
  execution_command: packages/app/checks/run.sh
  output_directory: app/smoke
  partition: wide
"""
CLUSTER = """partitions = [{ name = "wide", machine_type = "n2", max_node_count = 2, zone = "z" }]
note = <<-EOT
  hello
EOT
"""
TEST = {
    "name": "gcr.io/x/fluid-run",
    "args": [f"--ci-file={APP}/checks/jobs.yaml", "--rcc-tfvars", f"{APP}/checks/c.tfvars"],
}


def test_tests_are_read_from_the_files_that_the_build_names(roots: tuple[Path, Path]) -> None:
    files = {f"{APP}/checks/jobs.yaml": SUITE, f"{APP}/checks/c.tfvars": CLUSTER, f"{APP}/checks/run.sh": "#!/bin/sh\n"}
    report = plan(roots[0], build={"steps": [packer(), TEST]}, files=files)
    assert digest(report)
    assert report.decisions[0].image.tests_digest


def test_a_build_whose_tests_can_t_be_found_is_an_error(roots: tuple[Path, Path]) -> None:
    found = errors(plan(roots[0], build={"steps": [packer(), TEST]}))
    assert len(found) == 2
    assert every("checks/" in text and "does not exist" in text for text in found)


def test_without_any_base_the_error_says_where_to_write_it(roots: tuple[Path, Path]) -> None:
    made = template(builders=[{"type": "openstack", "image_name": "x"}])
    found = "\n".join(errors(plan(roots[0], made)))
    assert "names no base image; set _SOURCE_IMAGE_FAMILY in cloudbuild.yaml" in found
    assert "has no image family" in found
    assert "baked from each other" not in found


@pytest.mark.parametrize("folder", ["app", "packages/app", "one/packages/app", "./app"])
def test_paths_may_start_at_any_folder_above(roots: tuple[Path, Path], folder: str) -> None:
    own = {name: value for name, value in VARIABLES.items() if name != "pkg_path"}
    made = template(variables=own, provisioners=[{**INSTALL, "script": f"{folder}/install.sh"}])
    report = plan(roots[0], made)
    assert digest(report)
    assert f"{folder.removeprefix('./')}/install.sh" in report.decisions[0].image.inputs


READ_ELSEWHERE: Mapping[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a path of /workspace": (
        {"steps": [sh(f"packer build -var level=$$(cat /workspace/packages/other/LEVEL) {APP}/packer.json")]},
        {},
        "packages/other/LEVEL",
    ),
    "a shared file of /workspace": (
        {"steps": [sh(f"packer build -var level=$$(cat /workspace/common/LEVEL) {APP}/packer.json")]},
        {},
        "common/LEVEL",
    ),
    "a command of shell-local": (
        {"steps": [packer()]},
        {"provisioners": [INSTALL, {"type": "shell-local", "command": "bash packages/other/prepare.sh"}]},
        "packages/other/prepare.sh",
    ),
    "what that reads itself": (
        {"steps": [packer()]},
        {"provisioners": [INSTALL, {"type": "shell-local", "inline": ["cd packages/other && ./prepare.sh"]}]},
        "packages/other/deep/list",
    ),
}


@pytest.mark.parametrize("title", READ_ELSEWHERE)
def test_files_outside_of_the_package_that_commands_name_count(roots: tuple[Path, Path], title: str) -> None:
    build, changes, path = READ_ELSEWHERE[title]
    reports = [
        plan(root, template(**changes), build, {path: text, "packages/other/prepare.sh": text})
        for root, text in zip(roots, ("one", "two"), strict=True)
    ]
    one, two = map(digest, reports)
    assert one != two


def test_a_step_behind_the_bake_that_does_not_wait_for_it_counts(roots: tuple[Path, Path]) -> None:
    for waits, counts in ((["-"], True), (None, False), (["Bake"], False)):
        made = [
            plan(
                root,
                build={
                    "steps": [
                        packer(),
                        {"id": "Write", "name": "bash", "args": ["-c", f"echo {text} >{APP}/install.sh"]}
                        | ({"waitFor": waits} if waits else {}),
                    ]
                },
            )
            for root, text in zip(roots, ("one", "two"), strict=True)
        ]
        one, two = map(digest, made)
        assert (one != two) is counts, waits


def test_words_in_a_command_substitution_are_no_words_of_packer(roots: tuple[Path, Path]) -> None:
    text = f"packer build -var level=$$(cat {APP}/L | tr a b; true) -var image_family=other {APP}/packer.json"
    report = plan(roots[0], build={"steps": [sh(text)]}, files={f"{APP}/L": "1"})
    assert errors(report) == []
    assert [decision.image.family for decision in report.decisions] == ["other"]


def test_where_a_secret_is_kept_counts(roots: tuple[Path, Path]) -> None:
    def build(version: str) -> dict[str, Any]:
        name = f"projects/p/secrets/key/versions/{version}"
        return {
            "steps": [packer(secretEnv=["KEY"])],
            "availableSecrets": {"secretManager": [{"versionName": name, "env": "KEY"}]},
        }

    one, two = (digest(plan(root, build=build(version))) for root, version in zip(roots, "12", strict=True))
    assert one != two


def test_what_is_made_from_a_sensitive_variable_is_not_shown(roots: tuple[Path, Path]) -> None:
    made = template(
        **{
            "variables": VARIABLES | {"level": "geheim", "shout": "{{user `level` | upper}}"},
            "sensitive-variables": ["level"],
        }
    )
    made["provisioners"] = [INSTALL | {"environment_vars": ["LEVEL={{user `shout`}}"]}]
    report = plan(roots[0], made)
    (decision,) = report.decisions
    assert decision.image.inputs["variable shout"] == "set"
    assert "geheim" not in str(decision).lower()
