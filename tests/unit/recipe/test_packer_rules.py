"""Packer's rules for JSON templates: what our reader says is what Packer itself says, rule by rule.

Every Packer on PATH or in PACKERS (paths, joined by colons) validates and builds each row with its ``null`` builder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import Severity, errors_among
from bakery.recipe.expressions import fill
from bakery.recipe.load import load
from bakery.recipe.plugins import PROVISIONERS
from bakery.recipe.templating import declared, environment, resolve
from tests.support import recipe_tree

PACKERS = sorted(filter(None, {shutil.which("packer"), *os.environ.get("PACKERS", "").split(":")}))
NULL = {"type": "null", "communicator": "none"}
MARK = "packer said:"

pytestmark = pytest.mark.skipif(not PACKERS, reason="there is no packer")


@dataclass(frozen=True)
class Rule:
    """A template, or its text, with the words before it on the command line and more files; and the answer."""

    template: Mapping[str, Any] | str
    accepted: bool
    words: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


def made(**changes: Any) -> dict[str, Any]:
    return {"builders": [NULL], "provisioners": [{"type": "shell-local", "inline": ["true"]}]} | changes


def one(**provisioner: Any) -> dict[str, Any]:
    return made(provisioners=[provisioner])


def local(**changes: Any) -> dict[str, Any]:
    return one(**{"type": "shell-local", "inline": ["true"]} | changes)


SCRIPT = {"x.sh": "#!/bin/sh\n"}


RULES: Mapping[str, Rule] = {
    "the least": Rule(made(), True),
    "no JSON": Rule("{", False),
    "text behind the end": Rule(json.dumps(made()) + "}", False),
    "no builder": Rule(made(builders=[]), False),
    "a builder without type": Rule(made(builders=[{"communicator": "none"}]), False),
    "two builders of one type": Rule(made(builders=[NULL, NULL]), False),
    "two builders of one name": Rule(made(builders=[NULL | {"name": "a"}, NULL | {"name": "a"}]), False),
    "two builders": Rule(made(builders=[NULL, NULL | {"name": "other"}]), True),
    "an unknown root key": Rule(made(colour="red"), False),
    "a comment": Rule(made(_comment="x"), True),
    "a comment that is a list": Rule(made(_comment=["x"]), False),
    "comments": Rule(made(comments=[{"_a": "x"}]), True),
    "push": Rule(made(push={"name": "x"}), True),
    "an option in capitals": Rule(one(type="shell-local", INLINE=["true"], Environment_Vars=["A=b"]), True),
    "a builder's option in capitals": Rule(made(builders=[{"type": "null", "COMMUNICATOR": "none"}]), True),
    "an override's option in capitals": Rule(local(override={"null": {"Inline": ["true"]}}), True),
    "nothing to run, in capitals": Rule(one(type="shell-local", INLINE=[]), False),
    "a root key in capitals": Rule({"Builders": [NULL], "DESCRIPTION": "x"}, True),
    "a comment in a builder": Rule(made(builders=[NULL | {"_comment": "x"}]), False),
    "a comment in a provisioner": Rule(local(_comment="x"), False),
    "a duplicate field of a builder": Rule(
        '{"builders": [{"type": "null", "communicator": "none", "type": "null"}]}', False
    ),
    "a duplicate root field": Rule('{"builders": [{"type": "null", "communicator": "none"}], "builders": []}', False),
    "a duplicate variable": Rule(
        '{"variables": {"a": "1", "a": "2"}, "builders": [{"type": "null", "communicator": "none"}]}', False
    ),
    "a provisioner without type": Rule(made(provisioners=[{"inline": ["true"]}]), False),
    "a post-processor's name": Rule(made(**{"post-processors": ["manifest"]}), True),
    "a chain of post-processors": Rule(made(**{"post-processors": [["manifest", {"type": "manifest"}]]}), True),
    "a post-processor without type": Rule(made(**{"post-processors": [{"output": "x"}]}), False),
    "chains in a chain": Rule(made(**{"post-processors": [[["manifest"]]]}), False),
    "a post-processor that is a number": Rule(made(**{"post-processors": [3]}), False),
    "only": Rule(local(only=["null"]), True),
    "only of nobody": Rule(local(only=["qemu"]), False),
    "except of nobody": Rule(local(**{"except": ["qemu"]}), False),
    "only and except": Rule(local(**{"only": ["null"], "except": ["null"]}), False),
    "override": Rule(local(override={"null": {"inline": ["false"]}}), True),
    "override of nobody": Rule(local(override={"qemu": {"inline": ["false"]}}), False),
    "only of nobody after the bake": Rule(made(**{"post-processors": [{"type": "manifest", "only": ["qemu"]}]}), False),
    "a shell with nothing to run": Rule(one(type="shell"), False),
    "a shell with no lines": Rule(one(type="shell", inline=[]), False),
    "a shell with lines": Rule(one(type="shell", inline=["true"]), True),
    "a shell with scripts": Rule(one(type="shell", scripts=["x.sh"]), True, (), SCRIPT),
    "a shell with a script and scripts": Rule(one(type="shell", script="x.sh", scripts=["x.sh"]), False, (), SCRIPT),
    "a shell with a script and lines": Rule(one(type="shell", script="x.sh", inline=["true"]), False, (), SCRIPT),
    "a shell that override gives lines": Rule(one(type="shell", override={"null": {"inline": ["true"]}}), True),
    "a variable without a value": Rule(one(type="shell", inline=["true"], environment_vars=["A"]), False),
    "a variable without a name": Rule(one(type="shell", inline=["true"], environment_vars=["=a"]), False),
    "an empty variable": Rule(one(type="shell", inline=["true"], environment_vars=["A="]), True),
    "a tool with nothing to run": Rule(one(type="shell-local"), False),
    "a tool with a command": Rule(one(type="shell-local", command="true"), True),
    "a tool with a command and lines": Rule(one(type="shell-local", command="true", inline=["true"]), False),
    "a tool with a script and lines": Rule(one(type="shell-local", script="x.sh", inline=["true"]), False, (), SCRIPT),
    "a file": Rule(one(type="file", source="x.sh", destination="/tmp/"), True, (), SCRIPT),
    "a file to nowhere": Rule(one(type="file", source="x.sh"), False, (), SCRIPT),
    "a file in no direction": Rule(
        one(type="file", source="x.sh", destination="/tmp/", direction="up"), False, (), SCRIPT
    ),
    "a download": Rule(one(type="file", source="/etc/hosts", destination="hosts", direction="download"), True),
    "a clean-up": Rule(made(**{"error-cleanup-provisioner": {"type": "shell-local", "inline": ["true"]}}), True),
    "a variable that is a number": Rule(made(variables={"a": 1}), False),
    "a variable that is true": Rule(made(variables={"a": True}), False),
    "a variable that is a list": Rule(made(variables={"a": ["x"]}), False),
    "a required variable": Rule(made(variables={"a": None}), False),
    "a required variable that is passed": Rule(made(variables={"a": None}), True, ("-var", "a=1")),
    "a required variable from a file": Rule(
        made(variables={"a": None}), True, ("-var-file=v.json",), {"v.json": '{"a": "1"}'}
    ),
    "a variable file that is missing": Rule(made(), False, ("-var-file=v.json",)),
    "a variable file with a number": Rule(made(), False, ("-var-file=v.json",), {"v.json": '{"a": 1}'}),
    "a variable file with null": Rule(made(), True, ("-var-file=v.json",), {"v.json": '{"a": null}'}),
    "a variable file that is a list": Rule(made(), False, ("-var-file=v.json",), {"v.json": "[]"}),
    "a loop": Rule(made(variables={"a": "{{user `b`}}", "b": "{{user `a`}}"}), False),
    "a variable of nothing": Rule(made(variables={"a": "{{user `nothing`}}"}), False),
    "a passed variable that is not declared": Rule(local(inline=["echo {{user `a`}}"]), True, ("-var", "a=1")),
    "a pause": Rule(local(pause_before="1m30s"), True),
    "a pause that is no duration": Rule(local(pause_before="5 minutes"), False),
    "a pause that is a number": Rule(local(pause_before=5), True),
    "a limit that is a list": Rule(local(timeout=[1]), False),
    "tries in a text": Rule(local(max_retries="2"), True),
    "tries that are no number": Rule(local(max_retries="two"), False),
    "override with a number": Rule(local(override={"null": 3}), False),
    "a least version": Rule(made(min_packer_version="1.0.0"), True),
    "a least version that is none": Rule(made(min_packer_version="new"), False),
    "a least version that is a number": Rule(made(min_packer_version=1), False),
    "a description that is a number": Rule(made(description=3), False),
    "sensitive variables in a text": Rule(made(**{"sensitive-variables": "a"}), False),
    "a sensitive variable that is a number": Rule(made(**{"sensitive-variables": [1]}), False),
    "lines in lines": Rule(local(inline=[["true"]]), False),
    "lines in an object": Rule(local(inline={"a": "true"}), False),
    "a line that is no list": Rule(local(inline="true"), True),
    "a line that is a number": Rule(local(inline=[1]), True),
    "post-processors in a text": Rule(made(**{"post-processors": "manifest"}), False),
    "post-processors in an object": Rule(made(**{"post-processors": {"type": "manifest"}}), False),
    "an artifact that is kept": Rule(
        made(**{"post-processors": [{"type": "manifest", "keep_input_artifact": True}]}), True
    ),
    "an artifact that is kept in a text": Rule(
        made(**{"post-processors": [{"type": "manifest", "keep_input_artifact": "true"}]}), False
    ),
    "clean-ups": Rule(made(**{"error-cleanup-provisioner": [{"type": "shell-local", "inline": ["true"]}]}), False),
    "a clean-up without type": Rule(made(**{"error-cleanup-provisioner": {"inline": ["true"]}}), False),
    "sensitive variables": Rule(made(**{"variables": {"a": "x"}, "sensitive-variables": ["a"]}), True),
    "a type in capitals": Rule(one(type="Shell", inline=["true"]), False),
    "exit codes": Rule(one(type="shell", inline=["true"], valid_exit_codes=[0, "1", "0x2", -1, 1.5, True]), True),
    "an exit code": Rule(one(type="shell", inline=["true"], valid_exit_codes=3), True),
    "an exit code that is no number": Rule(one(type="shell", inline=["true"], valid_exit_codes=[0, "x"]), False),
    "exit codes in exit codes": Rule(one(type="shell", inline=["true"], valid_exit_codes=[[0]]), False),
}
IN_A_LINE = {
    "{{isotime `2006`}} {{timestamp}} {{uuid}} {{pwd}} {{template_dir}} {{build_name}} {{build `ID`}}": True,
    "{{strftime `%Y`}} {{`a` | upper}} {{split `a-b` `-` 0}} {{replace_all `a` `b` `c`}}": True,
    "{{if true}}x{{end}} {{printf `%s` `x`}} {{.Vars}} {{'a'}} {{`{{`}} {{$x := `a`}}{{$x}} {{/*it's*/}}": True,
    **dict.fromkeys(("{{`a` | nope}}", "{{user `a`", "{{}}", "{{env `HOME`}}", "{{clean_resource_name `A`}}"), False),
}
IN_A_VARIABLE = {
    "{{env `HOME`}} {{timestamp}} {{template_dir}} {{upper `x`}} {{if true}}x{{end}}": True,
    **dict.fromkeys(("{{nope}}", "{{build_name}}"), False),
}
ALL_RULES = {
    **RULES,
    **{f"a line: {text}": Rule(local(inline=[f"echo '{text}'"]), ok) for text, ok in IN_A_LINE.items()},
    **{f"a variable: {text}": Rule(made(variables={"a": text}), ok) for text, ok in IN_A_VARIABLE.items()},
}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("title", ALL_RULES)
def test_our_reader_takes_what_packer_takes(tmp_path: Path, packer: str, title: str) -> None:
    rule = ALL_RULES[title]
    folder = write(tmp_path, rule.template, rule.words, rule.files)
    done = run(packer, "validate", *rule.words, folder)
    assert (done.returncode == 0) is rule.accepted, done.stdout + done.stderr
    problems = errors_among(load(tmp_path / "packages", tmp_path / "common").problems)
    found = [one for one in problems if not one.message.startswith("has no googlecompute or qemu builder")]
    assert (not found) is rule.accepted, [str(problem) for problem in found]


OPTIONS = {  # of each provisioner, those that Packer wants to be there
    "breakpoint": {},
    "file": {"source": "x.sh", "destination": "/tmp/"},
    "shell": {"inline": ["true"]},
    "shell-local": {"inline": ["true"]},
}
OF_HCL2 = {"continue_on_error"}
NEWER = {"content", "env"}  # Packer 1.6 has not


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("kind", OPTIONS)
def test_packer_knows_the_options_that_the_plan_knows(tmp_path: Path, packer: str, kind: str) -> None:
    known = dict.fromkeys(PROVISIONERS[kind].options - OF_HCL2 - {"type", "only", "except", "override"})
    entry = {"type": kind, **known, **OPTIONS[kind]}
    done = run(packer, "validate", write(tmp_path, one(**entry), (), SCRIPT))
    refused = set(re.findall(r"unknown configuration key: .*?\b(\w+)\b", done.stdout + done.stderr))
    assert (refused & NEWER, refused - NEWER) == (refused, set()), done.stdout
    assert done.returncode == (1 if refused else 0), done.stdout + done.stderr


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("kind", OPTIONS)
def test_packer_refuses_the_options_that_the_plan_warns_of(tmp_path: Path, packer: str, kind: str) -> None:
    entry = {"type": kind, **OPTIONS[kind], "inlines": ["true"]}
    done = run(packer, "validate", write(tmp_path, one(**entry), (), SCRIPT))
    assert "unknown configuration key" in done.stdout + done.stderr
    said = [str(problem) for problem in load(tmp_path / "packages", tmp_path / "common").problems]
    assert [f"{kind} has no option inlines in Packer" in one for one in said].count(True) == 1, said


@pytest.mark.parametrize("packer", PACKERS)
def test_an_unknown_type_is_a_warning(tmp_path: Path, packer: str) -> None:
    """It is an error only where no plugin has it: Packer of the step's image may have one."""
    done = run(packer, "validate", write(tmp_path, one(type="nope"), (), {}))
    assert done.returncode
    problems = load(tmp_path / "packages", tmp_path / "common").problems
    (found,) = (one for one in problems if one.message == "Packer has no provisioner 'nope' of its own")
    assert found.severity is Severity.WARNING


VARIABLES = {
    "plain": "Value.1",
    "other": "{{user `plain`}}/x",
    "deep": "{{user `d1`}}",
    **{f"d{number}": f"{{{{user `d{number + 1}`}}}}" for number in range(1, 20)},
    "d20": "bottom",
    "home": "{{env `GIVEN`}}",
    "none": "{{env `NOT_GIVEN`}}",
    "dollar": "$HOME",
    "empty": "",
}
TEXTS = [
    "{{user `plain`}}",
    '{{ user "plain" }}',
    "a {{- user `plain` -}} b",
    "a {{user `plain` -}} b",
    "{{user `plain` | lower}} {{user `plain`|upper}}",
    "{{`plain` | user | lower}}",
    "{{replace_all `.` `-` (user `plain`)}}",
    "{{user `plain` | replace `e` `a` 1}}",
    "{{split (user `plain`) `.` 1}}",
    "{{user `other`}} {{user `deep`}}",
    "{{user `home`}}[{{user `none`}}][{{user `empty`}}]",
    "{{user `passed`}} {{user `from_file`}} {{user `both`}} {{user `two_files`}}",
    "{{build_name}} {{build_type}}",
    "user `x`; {{user `plain`}}",
]


@pytest.mark.parametrize("packer", PACKERS)
def test_our_values_are_packer_s(tmp_path: Path, packer: str) -> None:
    """All texts in one build: Packer takes its time to start."""
    lines = [f"cat <<'END'\n{MARK} {text}\nEND" for text in TEXTS]
    template = local(inline=lines) | {"variables": VARIABLES, "builders": [NULL | {"name": "named"}]}
    one = {"from_file": "file", "both": "file", "two_files": "1"}
    files = {"one.json": json.dumps(one), "two.json": json.dumps({"two_files": "2"})}
    words = ("-var", "passed=a=b", "--var=both=line", "-var-file", "one.json", "-var-file=two.json")
    folder = write(tmp_path, template, words, files)
    done = run(packer, "build", "-color=false", *words, folder, GIVEN="given")
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line.partition(MARK)[2].strip() for line in done.stdout.splitlines() if MARK in line]
    given = {**one, "two_files": "2", "passed": "a=b", "both": "line"}
    variables = resolve({**declared(template), **given}, environment({"GIVEN": "given"}, ()))
    ours = partial(fill, variables=variables, functions={"build_name": lambda: "named", "build_type": lambda: "null"})
    assert said == [ours(text).strip() for text in TEXTS]


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize(
    ("name", "provisioners"),
    [
        ("one", ["first", "not other", "override"]),
        ("other", ["first", "only other", "plain"]),
    ],
)
def test_a_builder_runs_what_our_reader_says(tmp_path: Path, packer: str, name: str, provisioners: list[str]) -> None:
    from bakery.plan.template import for_builder

    def say(text: str, **more: Any) -> dict[str, Any]:
        return {"type": "shell-local", "inline": [f"echo '{MARK} {text}'"], **more}

    builders = [NULL | {"name": "one"}, NULL | {"name": "other"}]
    entries = [
        say("first"),
        say("only other", only=["other"]),
        say("not other", **{"except": ["other"]}),
        say("plain", override={"one": {"inline": [f"echo '{MARK} override'"]}}),
    ]
    template = {"builders": builders, "provisioners": entries}
    folder = write(tmp_path, template, (), {})
    done = run(packer, "build", "-color=false", f"-only={name}", folder)
    assert sorted(line.partition(MARK)[2].strip() for line in done.stdout.splitlines() if MARK in line) == sorted(
        provisioners
    )
    reduced = for_builder(template, next(one for one in builders if one["name"] == name))
    alone = run(packer, "build", "-color=false", write(tmp_path / "alone", reduced, (), {}))
    assert [line.partition(MARK)[2].strip() for line in alone.stdout.splitlines() if MARK in line] == provisioners


def write(root: Path, template: Mapping[str, Any] | str, words: tuple[str, ...], files: Mapping[str, str]) -> Path:
    """Write a package for both readers; its build has the same words."""
    folder = root / "packages" / "app"
    recipe_tree.put(folder / "packer.json", template if isinstance(template, str) else json.dumps(template))
    args = ["build", *words, "packer.json"]
    step = {"name": "hashicorp/packer", "dir": "packages/app", "args": args, "env": ["GIVEN=given"]}
    recipe_tree.put(folder / "cloudbuild.yaml", json.dumps({"steps": [step]}))
    for name, content in files.items():
        recipe_tree.put(folder / name, content)
    recipe_tree.put(folder / "packer.config", "{}")
    (root / "common").mkdir(exist_ok=True)
    return folder


def run(packer: str, command: str, *words: Any, **env: str) -> subprocess.CompletedProcess[str]:
    *options, folder = words
    own = {key: value for key, value in os.environ.items() if not key.startswith("PACKER_")}
    own |= {
        "CHECKPOINT_DISABLE": "1",
        "PACKER_CONFIG": str(folder / "packer.config"),
        "PACKER_CACHE_DIR": str(folder / "cache"),
        **env,
    }
    line = [packer, command, *options, "packer.json"]
    return subprocess.run(line, cwd=folder, env=own, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("packer", PACKERS)
def test_a_folder_with_a_json_template_is_refused(tmp_path: Path, packer: str) -> None:
    (tmp_path / "packer.json").write_text(json.dumps(made()))
    done = subprocess.run([packer, "validate", "."], cwd=tmp_path, capture_output=True, check=False, text=True)
    assert done.returncode
    assert "suffixed with" in done.stdout + done.stderr
