"""Bakes that begin from a layer: their image has the same files as one that was baked from nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import pytest

from bakery.codec import encode
from bakery.orders.model import BakeOrder
from bakery.ovens.base import Bake
from bakery.ovens.local import container, layering, layers
from bakery.ovens.local.oven import LocalOven
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.settings import parse
from tests.machines.test_container_bakes import CHILD, outside, wait_until_all_is_as
from tests.machines.test_same_image import listed
from tests.support.bake_orders import order, source
from tests.support.disk_content import manifest

pytestmark = [pytest.mark.machines, pytest.mark.skipif(bool(container.lack()), reason=container.lack() or "-")]
SLOW = """
from bakery.ovens.local import layering, layers
def copy(source, target, activity):
    target.write_bytes(b"half a layer")
    print("stopped", flush=True)
    __import__("time").sleep(60)
layering.WORK, layers.MARGIN, layers._copy = 0.0, 0, copy
"""
LOCAL = {"cores": 1, "memoryMb": 768, "diskGb": 4, "isolation": "container"}
AS_ROOT = "{{ .Vars }} sudo -E bash '{{ .Path }}'"

FIRST = """#!/bin/bash
set -e
useradd --system solver
install -d -o solver -m 2750 /opt/app
echo first >/opt/app/first
ln /opt/app/first /opt/app/link
ln -s first /opt/app/symbolic
cp /bin/true /opt/app/raised
chmod 4755 /opt/app/raised
setfattr -n user.kind -v first /opt/app/first 2>/dev/null || true
mkfifo /opt/app/pipe
truncate -s 50M /opt/app/sparse
head -c 20M /dev/urandom >/opt/app/gone
echo kept >/tmp/for-the-last
"""
SECOND = """#!/bin/bash
set -e
rm /opt/app/gone
chmod 700 /opt/app/symbolic
printf '[Service]\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/app.service
systemctl enable --now app.service
"""
LAST = """#!/bin/bash
set -e
grep -q kept /tmp/for-the-last
grep -q 'some text' /tmp/share/text
echo {word} >/opt/app/last
"""


def recipe(folder: Path, word: str) -> BakeOrder:
    scripts = {"first.sh": FIRST, "second.sh": SECOND, "last.sh": LAST.format(word=word)}
    files = [source(folder / word, f"packages/app/{name}", text, 0o755) for name, text in scripts.items()]
    share = source(folder / word, "packages/app/share/text", "some text")
    made = order("app", (*files, share))
    steps = [
        {"type": "file", "source": "{{user `pkg_path`}}/share", "destination": "/tmp/"},
        *({"type": "shell", "script": f"packages/app/{name}", "execute_command": AS_ROOT} for name in scripts),
    ]
    template = {key: value for key, value in made.template.items() if key != "post-processors"}
    return replace(made, template={**template, "provisioners": steps})


def notes(done: Bake) -> list[str]:
    lines = Path(str(done.log)).read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("bakery: ") for line in lines if line.startswith("bakery: ")]


def test_the_image_of_a_bake_from_a_layer_is_that_of_a_bake_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layering, "WORK", 0.0)
    monkeypatch.setattr(layers, "MARGIN", 0)
    ovens = {
        name: LocalOven(parse({"local": {**LOCAL, "layers": {"budgetGb": budget}}}, "test", tmp_path / name))
        for name, budget in (("layered", 20), ("plain", 0))
    }
    first = ovens["layered"].bake(recipe(tmp_path, "one"), Activity())
    assert notes(first)[1:] == []
    second = ovens["layered"].bake(recipe(tmp_path, "two"), Activity())
    assert notes(second)[1:] == ["3 of 4 provisioners reused, from packages/app/last.sh on"]
    plain = ovens["plain"].bake(recipe(tmp_path, "two"), Activity())
    assert (plain.name, notes(plain)[1:]) == (second.name, [])
    digest = recipe(tmp_path, "two").digest
    one, other = (manifest(ovens[name].library.files.image(digest)) for name in ovens)
    assert other["/opt/app/last"] and len(other) > 5_000
    found = {path: (one.get(path), other.get(path)) for path in one | other if one.get(path) != other.get(path)}
    assert {path: what for path, what in found.items() if not any(re.fullmatch(line, path) for line in listed())} == {}


def test_a_kill_while_a_layer_is_taken_leaves_no_half_of_it_and_nothing_stopped(tmp_path: Path) -> None:
    before = outside()
    state = StatePaths(parse({}, "test", tmp_path).state)
    given = json.dumps([{"local": LOCAL}, str(tmp_path), encode(recipe(tmp_path, "one"))])
    child = subprocess.Popen([sys.executable, "-c", SLOW + CHILD], stdin=PIPE, stdout=PIPE, text=True)
    assert child.stdin and child.stdout
    with child.stdin, child.stdout:
        child.stdin.write(given)
        child.stdin.close()
        assert any(line == "stopped\n" for line in child.stdout)
        child.kill()
        child.wait()
    wait_until_all_is_as(before, state)
    (half,) = state.layers.iterdir()
    assert layers.clear(state) == [f"cleared a layer that a killed bake had not finished ({half.name})"]
    assert [*state.layers.iterdir(), *state.work.iterdir()] == []
