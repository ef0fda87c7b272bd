"""Expressions give what Packer's own evaluator gives, or are left to it: checked against the Packers that are here."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from bakery.recipe.call_place import CallPlace
from bakery.recipe.hcl2.evaluate import Evaluator
from bakery.recipe.hcl2.file_functions import Files
from bakery.recipe.hcl2.values import Invalid, Unfollowed
from bakery.recipe.parse import Findings
from bakery.recipe.parse.hcl import parse_expression, parse_hcl
from tests.unit.recipe.test_packer_rules import PACKERS

LEFT_TO_PACKER = (
    'format("%v", 1000000)',
    'format("%q", "c")',
    "7 / 2",
    'setunion([1], ["b"])',
    'lower("Ä")',
    "1.5 + 1.5",
    'length("é")',
    'format("%v", null)',
    'element(["a"], -1)',
    'format("%q", 1.0e-7)',
    '"0.1234567890123456789" + 0',
)
EXPRESSIONS = r"""
upper("x")
join(",", ["a", "b"])
format("%s-%03d-%v|%5s|%-5s|%d|%5.2f|%t|%%", "x", 7, true, "a", "b", 3, 2.5, false)
format("%v", [1, "a"])
[for i, x in var.l : "${i}${x}" if x != "q"]
{for k, v in {a = "x"} : v => k}
{for k, v in {a = "x", b = "x"} : v => k...}
substr("hello", -3, 2)
substr("abc", 1, -1)
chomp("a\n\n")
title("hello wOrld_a b-c d'e")
indent(2, "a\nb")
{a = 1, b = ["<x>&", 1.5], c = null}
basename("/a/b/")
dirname("a")
split("", "abc")
split(",", "")
range(3)
true ? 1 : "x"
1 == "1"
"%{ for k, v in {b = 1, a = 2} ~}\n ${k}\n%{ endfor ~}\n end"
"%{ if 1 == 2 }y%{ else }n%{ endif }"
coalesce("", null, "c")
coalesce(1, "c")
coalesce(null, 1)
format("%v %v", 123456, 0.25)
"e\u0301 \u00e9"
compact(["a", "", null])
concat([1], ["a"])
contains(["a"], "a")
distinct([1, 1, 2])
element(["a", "b"], 3)
flatten([["a"], ["b", ["c"]]])
keys({b = 1, a = 2})
values({b = 1, a = 2})
length("abc")
length([1])
lookup({a = 1}, "b", 2)
lower("AB")
max(1, 3)
min(1, 3)
merge({a = 1}, {b = 2})
md5("a")
sha256("a")
replace("a.b.c", ".", "-")
reverse([1, 2])
slice([1, 2, 3], 1, 2)
setunion(["b", "a"], ["c", "a"])
setintersection(["b", "a"], ["c", "b"])
sort(["b", "a"])
trim("?!a?!", "!?")
trimprefix("ab", "a")
trimsuffix("ab", "b")
trimspace(" a ")
urlencode("a b/c~é")
zipmap(["a"], [1])
base64encode("a")
base64decode("YQ==")
abs(-1)
ceil(1.2)
floor(1.8)
signum(-3)
strrev("abc")
jsondecode("{\"a\":[1,true,null]}")
formatlist("%s-%s", ["a", "b"], "c")
try(var.q, "z")
can(var.q)
chunklist([1, 2, 3], 2)
coalescelist([], [1])
7 % 4
6 / 3
2 * 3 + 4
var.l[*]
var.m.k
var.m["k"]
"a$${b} %%{c}"
!false
1 < 2 && true
"1" + 1
jsonencode("\u0001é")
[1, 2][1]
{a = {b = 1}}.a.b
"${true}${1.50}"
100000000000000000000
file("t.txt")
1e3
"${1E+3} 1e3"
1e23
-1.5e-1
[1e1, 2]
{1e1 = "a"}
"1e3" + 0
"+1" + 0
"5." + 0
"01" + 0
"$$${var.a} $$$${var.a} $$$$${var.a}"
"$$ ${var.a} $%{ if true }x%{ endif }"
false ? "x" : true
true ? [1] : ["a"]
true ? [1, "a"] : ["2", "b"]
true ? [1, "a"] : []
true ? {a = 1} : {a = "x"}
true ? {a = 1} : {b = "x"}
true ? {a = {b = 1}} : {a = {b = "x"}}
true ? [{a = 1}, {b = "x"}] : []
true ? [1, 2] : ["a", "b", "c"]
true ? var.l : []
false ? [1] : var.l
true ? {a = 1, b = "x"} : {a = 2, b = "y"}
true ? {k = [{n = 1, s = "x"}]} : {k = []}
try(true ? [] : {}, "d")
try(true ? 1 : true, "d")
try(element([], 0), "d")
try(element(["a"], 1.5), "d")
try(index(["a"], "c"), -1)
try(coalescelist([], []), ["d"])
try(concat(), "d")
try(sum([]), "d")
try(indent(-1, "a"), "d")
try([1, 2][1.5], "d")
try(range(5, 1, 1), "d")
range(3, 0)
range(3, 0, -2)
distinct([1, "1"])
try(distinct([1, true]), "d")
chunklist([1, "a"], 1)
[{n = "x"}, {n = "y"}].*.n[0]
[{n = ["x"]}][*].n[0]
{(var.a) = 1}
""".strip().splitlines()
HEREDOC = """
     x ${~ var.a }

       z
     %{ if true ~}
     q
     %{ else }
     r
     %{ endif }
     $${lit}
"""
FILES = {"t.txt": "a ${b}\n", "t.tpl": "hi ${name}%{ for x in list }-${x}%{ endfor }\n"}


def evaluator() -> Evaluator:
    values = {"a": "x", "l": ["p", "q"], "m": {"k": "v"}}
    read = {path: text.encode() for path, text in FILES.items()}
    return Evaluator(values, frozenset(), {}, frozenset(), Files(CallPlace("", "."), read.get))


def evaluated(text: str) -> object:
    expression = parse_expression(text, 1)
    assert expression is not None, text
    return evaluator().evaluate(expression, {})


@pytest.mark.parametrize("packer", PACKERS)
def test_expressions_give_what_packer_gives(tmp_path: Path, packer: str) -> None:
    declared = 'variable "a" {\n default = "x"\n}\nvariable "l" {\n default = ["p", "q"]\n}\n'
    declared += 'variable "m" {\n default = {k = "v"}\n}\n'
    local = "".join(f" e{number:03} = jsonencode({text})\n" for number, text in enumerate(EXPRESSIONS))
    build = 'source "null" "n" {\n communicator = "none"\n}\nbuild {\n sources = ["source.null.n"]\n}\n'
    heredoc = f" heredoc = jsonencode(<<-E\n{HEREDOC.strip(chr(10))}\n     E\n )\n"
    template = f"{declared}locals {{\n{local}{heredoc}}}\n{build}"
    for path, text in {**FILES, "x.pkr.hcl": template}.items():
        (tmp_path / path).write_text(text)
    run = [packer, "inspect", "x.pkr.hcl"]
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1"}
    done = subprocess.run(run, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    theirs = {name: json.loads(text) for name, text in re.findall(r'^local\.(\w+): (".*")$', done.stdout, re.M)}
    ours = {f"e{number:03}": evaluated(f"jsonencode({text})") for number, text in enumerate(EXPRESSIONS)}
    differ = [(EXPRESSIONS[int(name[1:])], text, theirs[name]) for name, text in ours.items() if text != theirs[name]]
    assert differ == []
    findings = Findings()
    body = parse_hcl(template.encode(), findings)
    assert body is not None
    locals_ = next(body.of("locals")).body.attributes
    assert evaluator().evaluate(locals_["heredoc"].expression, {}) == theirs["heredoc"]
    assert json.loads(theirs["heredoc"]) == "xx\n\n  z\n     q\n\n${lit}\n"


@pytest.mark.parametrize("text", LEFT_TO_PACKER)
def test_what_python_might_do_differently_is_left_to_packer(text: str) -> None:
    assert evaluated(text) == Unfollowed(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("var.q", "var.q is an undeclared variable"),
        ("local.q", "there is no local.q"),
        ("data.a.b.c", "there is no data source a.b"),
        ("q.r", "unknown name q.r"),
        ("q", "unknown name q"),
        ("path.home", "there is no path.home"),
        ("var.m.q", 'there is no attribute "q"'),
        ("var.l[7]", "there is no element 7"),
        ("nosuch(1)", "there is no function nosuch"),
        ("upper()", "0 arguments for a function that takes 1"),
        ("upper(null)", "an argument is null"),
        ("upper([1])", "a list does not fit the type string"),
        ("join(1, 2)", "2 is not a list"),
        ('"${null}-"', "null is null, in a string"),
        ('"${var.l}-"', "a list or an object in a string"),
        ("!1", "1 is not true or false"),
        ('-"a"', '"a" is not a number'),
        ("1 / 0", "a division by zero"),
        ("true ? [] : {}", "the two sides of a condition have different types"),
        ("distinct([1, true])", "the elements of a list have different types"),
        ("element([], 0)", "element has no number 0 of a list with 0"),
        ('index(["a"], "b")', 'index finds no "b"'),
        ("coalescelist([], [])", "all lists of coalescelist are empty"),
        ("concat()", "concat without a list"),
        ("sum([])", "sum of an empty list"),
        ("range(5, 1, 1)", "range never ends"),
        ('indent(-1, "a")', "indent takes no negative number"),
        ("{for k in var.l : 1 => k}", 'duplicate key "1"'),
        ("[for k in 3 : k]", "3 is not a collection"),
        ("try(var.q)", "no argument of try has a value"),
        ('file("none")', '"none" does not exist'),
        ('templatefile("t.tpl", 1)', "templatefile needs a path and an object"),
        ('templatefile("t.tpl", {})', "unknown name name"),
        ('regex("a", "b")', "a regular expression without a match"),
        ('lookup({}, "a")', 'lookup finds no key "a"'),
        ("{{user `x`}}", None),
        ('"{{user `x`}}"', "HCL2 does not know {{user}}"),
    ],
)
def test_what_packer_refuses(text: str, message: str | None) -> None:
    if message is None:
        assert parse_expression(text, 1) is None
        return
    with pytest.raises(Invalid) as raised:
        evaluated(text)
    assert message in raised.value.args[1]
    assert raised.value.args[2]


def test_functions_of_newer_packers() -> None:
    """They are not in Packer 1.6; their results are from Packer's documentation."""
    assert evaluated('regex("^(?P<a>\\\\d+)(?:\\\\.(?P<b>\\\\d+))?", "12")') == {"a": "12", "b": None}
    assert evaluated('regexall("[a-z]+", "ab1cd")') == ["ab", "cd"]
    assert evaluated("sum([1, 2])") == 3
    assert evaluated("alltrue([true, false])") is False
    assert evaluated('startswith("ab", "a") && endswith("ab", "b") && strcontains("abc", "b")') is True
    assert evaluated('index(["a", "b"], "b")') == 1
    assert evaluated('templatefile("t.tpl", {name = "N", list = ["1", "2"]})') == "hi N-1-2\n"
