"""What a call of Packer reads of an HCL2 template: our reader gives what Packer itself gives, call by call.

Every Packer on PATH or in PACKERS (paths, joined by colons) inspects the same workspace.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from bakery.errors import errors_among
from bakery.recipe.hcl2.values import marker
from tests.support import recipe_tree
from tests.unit.recipe.test_packer_rules import PACKERS

pytestmark = pytest.mark.skipif(not PACKERS, reason="there is no packer")

DECLARED = """variable "v" {
  default = "declared"
}
variable "w" {
  type    = set(string)
  default = ["b", "a"]
}
"""
EXPRESSIONS = r"""
var.v
try(var.more, "none")
try(file("x.txt"), "none")
try(file("./scripts/../x.txt"), "none")
try(file("packages/app/x.txt"), "none")
try(file("${path.root}/x.txt"), "none")
try(file("scripts"), "none")
try(file("../app/x.txt"), "none")
fileexists("x.txt")
fileexists("packages/app/x.txt")
fileset(".", "*.txt")
fileset("", "x*")
fileset("scripts", "**")
fileset("scripts", "**/*.sh")
fileset("scripts", "*.sh")
fileset("scripts", "?.sh")
fileset("scripts", "a.sh")
fileset("scripts", "{a,ab}.sh")
fileset("scripts", "**/*.{sh,txt}")
fileset("scripts", "{a*,deep}/*.*")
fileset("scripts", "[a-b].sh")
fileset("scripts", "[^b]*.sh")
fileset("scripts", "d[e]ep/[bc].{t?t,none}")
fileset("../other", "*")
fileset("../other", "x.{txt,md}")
fileset("../none", "*")
fileset("scripts", "deep**/*.sh")
fileset("scripts", "../*.txt")
fileset("scripts/", "/a*")
fileset("nothing", "*")
fileset("../../common", "**/*.conf")
[for k, v in fileset("scripts", "*.sh") : "${k}=${v}"]
"%{ for k, v in var.w }${k}${v} %{ endfor }"
reverse(var.w)
join(",", var.w)
length(fileset(".", "*"))
try(var.w[0], "none")
try(concat(var.w, ["c"]), "none")
try(element(var.w, 0), "none")
try(slice(var.w, 0, 1), "none")
try(index(var.w, "a"), "none")
try(coalescelist(var.w, ["c"]), "none")
try(flatten([var.w]), "none")
try(contains(var.w, "a"), "none")
""".strip().splitlines()
NEWER = r"""  # functions that Packer 1.6 does not know
try(templatefile("t.tpl", {a = "b"}), "none")
try(templatefile("again.tpl", {}), "none")
try(filebase64("x.txt"), "none")
try(filebase64("packages/app/x.txt"), "none")
try(filebase64("${path.root}/x.txt"), "none")
try(coalescelist(var.w, ["c"]), "none")
""".strip().splitlines()[1:]
FILES = {
    "packages/app/more.pkr.hcl": 'variable "more" {\n  default = "read"\n}\n',
    "packages/app/a.auto.pkrvars.hcl": 'v = "auto hcl"\n',
    "packages/app/x.txt": "of the package",
    "packages/app/t.tpl": "<${a}>",
    "packages/app/again.tpl": '${templatefile("t.tpl", {a = "b"})}',
    "packages/app/scripts/a.sh": "",
    "packages/app/scripts/ab.sh": "",
    "packages/app/scripts/.hidden.sh": "",
    "packages/app/scripts/deep/b.sh": "",
    "packages/app/scripts/deep/c.txt": "",
    "packages/app/v/own.pkrvars.hcl": 'v = "own"\n',
    "packages/app/v/own.json": '{"v": "own json"}',
    "packages/app/v/same.pkrvars.hcl": 'v = "own ${"json"}"\n',
    "packages/other/v.pkrvars.hcl": 'v = "other"\n',
    "packages/other/x.txt": "of another package",
    "common/v.pkrvars.hcl": 'v = "common"\n',
    "common/etc/x.conf": "",
    "common/x.txt": "of common",
}
AUTO_JSON = {"packages/app/b.auto.pkrvars.json": '{"v": "auto json"}'}


@dataclass(frozen=True)
class Call:
    """A call of Packer in a folder of the workspace."""

    folder: str
    argument: str
    words: tuple[str, ...] = ()


CALLS = {
    "a folder": Call("", "packages/app"),
    "a folder, written another way": Call("", "./packages/app/"),
    "a file": Call("", "packages/app/t.pkr.hcl"),
    "a file, written another way": Call("", "./packages//app/t.pkr.hcl"),
    "its own folder": Call("packages/app", "."),
    "a file in its own folder": Call("packages/app", "t.pkr.hcl"),
    "from above": Call("packages", "app"),
    "from elsewhere": Call("common", "../packages/app"),
    "values of its own": Call("", "packages/app", ("-var-file=packages/app/v/own.pkrvars.hcl",)),
    "values for a file": Call("", "packages/app/t.pkr.hcl", ("-var-file", "packages/app/v/own.pkrvars.hcl")),
    "values of common": Call("packages/app", ".", ("-var-file=../../common/v.pkrvars.hcl",)),
    "values of another package": Call("", "packages/app", ("-var-file=packages/other/v.pkrvars.hcl",)),
    "HCL after JSON": Call(
        "packages/app", ".", ("-var-file=v/own.json", "-var-file=../../packages/other/v.pkrvars.hcl")
    ),
    "JSON after HCL": Call(
        "packages/app", ".", ("-var-file=../../packages/other/v.pkrvars.hcl", "-var-file=v/own.json")
    ),
    "the same value twice": Call("packages/app", ".", ("-var-file=v/own.json", "-var-file=v/same.pkrvars.hcl")),
    "a value and a file": Call("packages/app", ".", ("-var", "v=line", "-var-file=v/own.json")),
    "a value and files": Call(
        "packages/app", ".", ("-var", "v=line", "-var-file=v/own.json", "-var-file=v/own.pkrvars.hcl")
    ),
}
# Calls that Packer before 1.13 reads in another order: without, and with a JSON file of values that it finds.
OTHER_ORDER = (
    {"HCL after JSON"},
    {"HCL after JSON", "values of its own", "values of common", "values of another package"},
)
LEFT_TO_PACKER = {"from elsewhere": {'try(filebase64("x.txt"), "none")'}}  # a file of common


@cache
def version(packer: str) -> tuple[int, int]:
    line = [packer, "version"]
    done = subprocess.run(line, env=environment(Path("/")), stdout=subprocess.PIPE, text=True, check=True)
    found = re.search(r"v(\d+)\.(\d+)", done.stdout)
    assert found, done.stdout
    return int(found[1]), int(found[2])


def expressions(packer: str) -> list[str]:
    """Those that this Packer knows."""
    return EXPRESSIONS if version(packer) < (1, 7) else EXPRESSIONS + NEWER


def environment(root: Path) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("PACKER_")}
    return {**own, "CHECKPOINT_DISABLE": "1", "PACKER_CONFIG_DIR": str(root), "PACKER_CACHE_DIR": str(root / "cache")}


FROM_FILES = [title for title, call in CALLS.items() if call.words]  # whose values come before or after those of JSON


def write(root: Path, call: Call, more: dict[str, str], kind: str, texts: Sequence[str] = EXPRESSIONS) -> None:
    """Write the workspace with a build that makes the call; the source is of this kind."""
    names = ", ".join(f"local.e{number:03}" for number in range(len(texts)))
    locals_ = "".join(f"  e{number:03} = jsonencode({text})\n" for number, text in enumerate(texts))
    step = f'provisioner "shell-local" {{\n  inline = [{names}]\n}}\n'
    body = '  communicator = "none"\n' if kind == "null" else '  image_family = "app"\n  source_image = "debian-12"\n'
    source = f'source "{kind}" "n" {{\n{body}}}\nbuild {{\n  sources = ["source.{kind}.n"]\n{step}}}\n'
    text = f"{DECLARED}locals {{\n{locals_}}}\n{source}"
    args = ["build", *call.words, call.argument]
    build = {"steps": [{"name": "hashicorp/packer", "dir": call.folder, "args": args}]}
    files = {**FILES, **more, "packages/app/t.pkr.hcl": text, "packages/app/cloudbuild.yaml": json.dumps(build)}
    for path, content in files.items():
        recipe_tree.put(root / path, content)


def theirs(packer: str, root: Path, call: Call) -> subprocess.CompletedProcess[str]:
    env = environment(root)
    line = [packer, "inspect", *call.words, call.argument]
    return subprocess.run(
        line, cwd=root / call.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def ours(root: Path) -> list[str]:
    loaded = recipe_tree.loaded(root)
    assert [str(one) for one in errors_among(loaded.problems)] == []
    (recipe,) = loaded.recipes
    inline = recipe.template["provisioners"][0]["inline"]
    assert isinstance(inline, list)
    return inline


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize(("title", "more"), [*((one, {}) for one in CALLS), *((one, AUTO_JSON) for one in FROM_FILES)])
def test_a_call_reads_what_packer_reads(tmp_path: Path, packer: str, title: str, more: dict[str, str]) -> None:
    call, texts = CALLS[title], expressions(packer)
    write(tmp_path / "theirs", call, more, "null", texts)
    done = theirs(packer, tmp_path / "theirs", call)
    assert done.returncode == 0, done.stdout
    found = {name: json.loads(text) for name, text in re.findall(r'^local\.(\w+): (".*")$', done.stdout, re.M)}
    write(tmp_path / "ours", call, more, "googlecompute", texts)
    given = dict(zip(texts, ours(tmp_path / "ours"), strict=True))
    differ = {text for number, text in enumerate(texts) if given[text] != found[f"e{number:03}"]}
    left = {text for text in texts if given[text] == marker(f"jsonencode({text})")}
    warned = title in OTHER_ORDER[bool(more)]
    assert left == LEFT_TO_PACKER.get(title, set()) & {*texts}
    assert differ == left | ({"var.v"} if warned and version(packer) < (1, 13) else set())
    said = [one.message for one in recipe_tree.loaded(tmp_path / "ours").problems if "before 1.13" in one.message]
    assert len(said) == warned, said


REFUSED: dict[str, tuple[Sequence[str], dict[str, str], str]] = {
    "a file of values of another format": (["-var-file=packages/app/x.txt"], {}, "is of no known format"),
    "a file of values that is not there": (["-var-file=packages/app/none.json"], {}, "does not exist"),
    "a function in a file of values": (
        ["-var-file=packages/app/f.pkrvars.hcl"],
        {"packages/app/f.pkrvars.hcl": 'v = upper("x")\n'},
        "upper() in a value of a variable",
    ),
}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("title", REFUSED)
def test_a_call_that_packer_refuses(tmp_path: Path, packer: str, title: str) -> None:
    words, more, message = REFUSED[title]
    call = Call("", "packages/app", tuple(words))
    write(tmp_path, call, more, "null")
    assert theirs(packer, tmp_path, call).returncode
    write(tmp_path, call, more, "googlecompute")
    errors = errors_among(recipe_tree.loaded(tmp_path).problems)
    assert [message in one.message for one in errors] == [True], [str(one) for one in errors]


EACH = """variable "all" {
  default = [{ name = "a", text = "first" }, { name = "b", text = "second" }]
}
source "%s" "n" {%s}
build {
  dynamic "source" {
    for_each = var.all
    labels   = ["source.%s.n"]
    content {
      name = source.value.name
    }
  }
  dynamic "provisioner" {
    for_each = { for one in var.all : one.name => one.text }
    labels   = ["shell-local"]
    content {
      only   = ["%s.${provisioner.key}"]
      inline = ["echo said ${source.name} ${provisioner.value}"]
    }
  }
}
"""


@pytest.mark.parametrize("packer", PACKERS)
def test_sources_that_a_build_makes_in_a_loop(tmp_path: Path, packer: str) -> None:
    recipe_tree.put(tmp_path / "theirs/t.pkr.hcl", EACH % ("null", '\n  communicator = "none"\n', "null", "null"))
    line = [packer, "build", "-color=false", "."]
    folder, env = tmp_path / "theirs", environment(tmp_path)
    out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(line, cwd=folder, env=env, text=True, check=False, **out)
    assert done.returncode == 0, done.stdout
    theirs = {line.split(": ")[-1] for line in done.stdout.splitlines() if ": said " in line}
    text = EACH % ("googlecompute", '\n source_image = "debian-12"\n', "googlecompute", "googlecompute")
    recipe_tree.put(tmp_path / "ours/packages/app/t.pkr.hcl", text)
    (recipe,) = recipe_tree.loaded(tmp_path / "ours").recipes
    made = [recipe.template, *recipe.template["hcl2"]["others"]]
    found = [text for one in made for step in one["provisioners"] for text in step["inline"]]
    assert sorted(theirs) == [text.removeprefix("echo ") for text in found]
