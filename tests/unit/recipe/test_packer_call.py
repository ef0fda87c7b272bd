from __future__ import annotations

from typing import Any

import pytest

from bakery.recipe.model import BuildCalls, PackerCall
from bakery.recipe.packer_call import build_calls, calls


def step(*args: str, **more: Any) -> dict[str, Any]:
    return {"name": "hashicorp/packer", "args": ["build", *args, "packages/app/packer.json"], **more}


def shell(text: str, **more: Any) -> dict[str, Any]:
    return {"name": "hashicorp/packer", "entrypoint": "sh", "args": ["-c", text], **more}


@pytest.mark.parametrize(
    ("args", "variables", "files"),
    [
        (["-var", "a=1"], {"a": "1"}, ()),
        (["--var", "a=1", "--var=b=x=y"], {"a": "1", "b": "x=y"}, ()),
        (["-force", "-var", "a=1", "-on-error", "abort", "-color=false", "-var=b=2"], {"a": "1", "b": "2"}, ()),
        (["-var-file", "v.json", "--var-file=w.json", "-var", "a=1"], {"a": "1"}, ("v.json", "w.json")),
        (["-only", "x", "-var", "a="], {"a": ""}, ()),
    ],
)
def test_flags_as_go_reads_them(args: list[str], variables: dict[str, str], files: tuple[str, ...]) -> None:
    (call,) = calls(step(*args))
    assert (call.variables, call.files, call.template, call.exact) == (
        variables,
        files,
        "packages/app/packer.json",
        True,
    )


@pytest.mark.parametrize(
    ("given", "variables", "exact"),
    [
        (shell("packer build -var a=$_A packages/app/packer.json"), {"a": "$_A"}, True),
        (shell("set -e\npacker init .\npacker build \\\n  -var 'a=$_A' \\\n  x/packer.json"), {"a": "$_A"}, True),
        (shell("packer build -var a=$$A x/packer.json", env=["A=${_A}-x"]), {"a": "${_A}-x"}, False),
        (shell('A="${_A}"\npacker build -var "a=$${A}" x/packer.json'), {"a": "${_A}"}, False),
        (shell("packer build -var a=$$(date) -var b=1 x/packer.json"), {"b": "1"}, False),
        (shell("packer build -var a=`date` x/packer.json"), {}, False),
        (shell("sed -i s/x/y/ packages/app/install.sh\npacker build -var a=1 x/packer.json"), {"a": "1"}, False),
        ({"script": "packer build -var a=$_A x/packer.json"}, {"a": "$_A"}, False),
        ({"script": "packer build -var a=$_A x/packer.json", "automapSubstitutions": True}, {"a": "$_A"}, True),
        ({"script": "packer build -var a=$B x/packer.json", "env": ["B=$_A"]}, {"a": "$_A"}, False),
    ],
)
def test_a_shell_is_followed_as_far_as_it_is_plain(
    given: dict[str, Any], variables: dict[str, str], exact: bool
) -> None:
    (call,) = calls(given)
    assert (dict(call.variables), call.exact) == (variables, exact)


def test_only_steps_that_build_this_template_count() -> None:
    other = {"name": "hashicorp/packer", "args": ["build", "-var", "a=other", "packages/base/packer.json"]}
    found = build_calls({"steps": [other, step("-var", "a=own")]}, "app")
    assert (found.variables, found.others) == ({"a": "own"}, {0})
    moved = {"name": "hashicorp/packer", "dir": "packages/app", "args": ["build", "-var", "a=own", "packer.json"]}
    assert build_calls({"steps": [other, moved]}, "app").variables == {"a": "own"}
    assert build_calls({"steps": [other]}, "app").variables == {"a": "other"}, "nothing else says what is built"


@pytest.mark.parametrize(
    ("before", "counts"),
    [
        ({"name": "ubuntu", "args": ["true"]}, False),
        ({"name": "hashicorp/packer", "args": ["validate", "packages/app/packer.json"]}, False),
        ({"name": "hashicorp/packer", "args": ["init", "."]}, False),
        ({"name": "gcr.io/x/fluid-run", "args": ["--ci-file=x"]}, False),
        (shell("mkdir -p /w; packer plugins install x"), False),
        ({"name": "gcr.io/cloud-builders/git", "args": ["clone", "https://example.org/x"]}, True),
        ({"name": "ubuntu", "script": "echo $_V >packages/app/version"}, True),
        ({"name": "ubuntu", "args": ["bash", "-c", "sed -i s/a/b/ x"]}, True),
        ({"name": "gcr.io/x/prepares"}, True),
    ],
)
def test_a_step_that_may_change_files_counts_as_a_whole(before: dict[str, Any], counts: bool) -> None:
    assert (0 in build_calls({"steps": [before, step()]}, "app").whole) is counts
    assert not build_calls({"steps": [step(), before]}, "app").whole, "it comes too late"


def test_docker_build_is_not_packer_build() -> None:
    assert not list(calls({"name": "gcr.io/cloud-builders/docker", "args": ["build", "-t", "x", "."]}))


@pytest.mark.parametrize("args", [True, 3, {"a": 1}])
def test_arguments_of_another_type_are_none(args: object) -> None:
    assert build_calls({"steps": [{"name": "hashicorp/packer", "args": args}]}, "app").calls == ()


def test_a_step_or_its_shell_may_run_packer_in_another_folder() -> None:
    for given in (
        {"name": "hashicorp/packer", "dir": "packages/app", "args": ["build", "-var-file=x.json", "packer.json"]},
        shell("cd packages && cd app; packer build -var-file=x.json packer.json"),
        shell('D=packages/app\ncd "$$D" && packer build -var-file=x.json packer.json'),
    ):
        (call,) = calls(given)
        assert (call.folder, call.template) == ("packages/app", "packages/app/packer.json")
        assert call.files == ("packages/app/x.json",)


def test_a_builder_is_baked_if_a_call_leaves_it() -> None:
    def baked(*calls: PackerCall) -> list[str]:
        return [name for name in ("a", "b", "c") if BuildCalls(calls).bakes(name)]

    assert baked(PackerCall()) == ["a", "b", "c"]
    assert baked(PackerCall(only=("a",)), PackerCall(only=("b",))) == ["a", "b"]
    assert baked(PackerCall(only=("a",)), PackerCall(exclude=("a",))) == ["a", "b", "c"]
    assert baked(PackerCall(only=("a",)), PackerCall()) == ["a", "b", "c"]
    assert baked(PackerCall(only=("a",), exclude=("a",))) == []
