"""Our reader of Pulumi.yaml and the stack's file gives what the engine would pass, over a table of layouts."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import InputError
from bakery.host import engine
from bakery.settings import files
from tests.support import workshop as shop

PROJECT = "name: image-bakery\nruntime: python\n"
SALT = "encryptionsalt: v1:RpjIlgC0Nc0=:v1:xQ71YkHrzZ0FWpBd:kA8t1dqP7Kx0l2BqzE1r0Q8aZkA0Vw==\n"


@dataclass(frozen=True)
class Layout:
    """The files of a checkout. ``stack`` is the content of the stack's file (none: no such file)."""

    stack: str | None
    project: str = PROJECT
    file: str = "Pulumi.dev.yaml"
    name: str = "dev"
    options: tuple[str, ...] = field(default=())


SCALARS = """config:
  image-bakery:nonce: {a: 2026-11-28, b: on, c: 12:30, d: 1e3, e: 010, f: 0x1F, g: 1_000, h: ~, i: 1.0, j: 0o17,
    k: 1.10, l: "010", m: .5, n: yes, o: 0b11, p: True, q: FALSE, s: 1., t: +5, u: -0,
    v: 1.5e10, w: 123456789012345678901234567890, x: 2026-13-01, y: 09,
    r: 2026-11-28T10:00:00Z, ad: _1, ae: '~', af: "", ag: 1.2.3, ah: 1e-7, ai: 0x}
"""
TOP = """config:
  image-bakery:packages: on
  image-bakery:common: 2026-11-28
  image-bakery:lock: 1.0
  image-bakery:state: ~
  image-bakery:retentionDays: 0x10
  image-bakery:oven: !!str 5
  image-bakery:fake: true
"""
LAYOUTS = {
    "no file": Layout(None),
    "an empty file": Layout(""),
    "a salt alone": Layout(SALT),
    "no value below config": Layout("config:\n"),
    "plain": Layout("config:\n  image-bakery:oven: fake\n  image-bakery:select: [a, b]\n  gcp:project: p\n"),
    "keys without the project": Layout("config:\n  oven: fake\n  select: [a]\n"),
    "the module config": Layout("config:\n  image-bakery:config:oven: fake\n"),
    "scalars below": Layout(SCALARS),
    "scalars": Layout(TOP),
    "texts of JSON": Layout("config:\n  image-bakery:local: '{\"cores\": 3}'\n  image-bakery:select: '[\"a\"]'\n"),
    "block texts, anchors and merges": Layout(
        "x: &x {cores: 2, slots: 1}\nconfig:\n  image-bakery:local: {<<: *x, slots: 3}\n"
        "  image-bakery:state: |\n    a\n    b\n  image-bakery:lock: >-\n    a\n    b\n"
    ),
    "a byte order mark": Layout("\ufeffconfig:\n  image-bakery:oven: fake\n"),
    "letters beyond ASCII": Layout("config:\n  image-bakery:packages: ./pâtés <&>\n  image-bakery:select: [<&>, é]\n"),
    "keys that are numbers": Layout("config:\n  image-bakery:nonce: {1: a, b: {2: c}}\n"),
    "stackConfigDir": Layout(
        "config:\n  image-bakery:oven: fake\n", PROJECT + "stackConfigDir: stacks\n", "stacks/Pulumi.dev.yaml"
    ),
    "stackConfigDir as config": Layout(
        "config:\n  image-bakery:oven: fake\n", PROJECT + "config: stacks/a\n", "stacks/a/Pulumi.dev.yaml"
    ),
    "another file": Layout("config:\n  image-bakery:oven: fake\n", file="other.yaml", options=("other.yaml",)),
    "another file and stackConfigDir": Layout(
        "config:\n  image-bakery:oven: fake\n",
        PROJECT + "stackConfigDir: stacks\nconfig: {retentionDays: 3}\n",
        "a b/other.yaml",
        options=("a b/other.yaml",),
    ),
    "values of the project": Layout(
        "config:\n  image-bakery:lock: mine\n",
        PROJECT + "config: {oven: fake, image-bakery:lock: theirs, retentionDays: 5, select: [a, b], gcp:project: p}\n",
    ),
    "typed values of the project": Layout(
        "config:\n  image-bakery:retentionDays: 7\n",
        PROJECT + "config:\n  oven: {default: fake, description: d}\n  retentionDays: {type: integer, default: 5}\n"
        "  packages: {type: string}\n  fake: {default: {seconds: 1.5, times: 1.0}}\n  lock: {value: 3.5}\n"
        "  select: {type: array, items: {type: string}, default: [a]}\n",
    ),
    "paths of the project": Layout(
        "config:\n  image-bakery:local: {cores: 4}\n  image-bakery:spack: {ref: v1}\n",
        PROJECT
        + "config: {local.cores: 2, local.slots: 3, local.keepFailed: true, local.mirror: '010', spack.ref: v2}\n"
        "  \n",
    ),
    "a path of the project below a text": Layout(
        "config:\n  image-bakery:spack: text\n",
        PROJECT + "config: {spack.ref: '7', google.zones: [a], google.branch: b, google.region: '+5'}\n",
    ),
    "steps of paths of the project": Layout(
        "config:\n  image-bakery:select: [a]\n",
        PROJECT + "config: {'channels.stable[0]': a, 'channels.stable[1]': b, 'pins[\"a.b\"]': x, 'select[0]': y,\n"
        "  'select[1]': z, 'fake.bakes[0].seconds': 3}\n",
    ),
    "times and bytes": Layout(
        "config:\n  image-bakery:lock: !!binary aGk=\n  image-bakery:nonce: {a: 2026-1-2, b: 2026-11-28T1:2:3Z,\n"
        "    c: 2026-11-28T10:00:00, d: 2026-11-28 10:00:00Z, e: 2026-11-28T10:00:00.500+05:30,\n"
        "    f: 2026-11-28t10:00:00Z, g: 2026-11-28T25:00:00Z, h: 2026-11-28 10:00:00.120}\n"
    ),
    "stackConfigDir with a slash": Layout(
        "config:\n  image-bakery:oven: fake\n", PROJECT + "stackConfigDir: /stacks\n", "stacks/Pulumi.dev.yaml"
    ),
    "too large": Layout("config:\n  image-bakery:nonce: {a: 1e400, b: -1e400, c: .info, d: nan, e: inf}\n"),
    "another name of the project": Layout(
        "config:\n  bakery:oven: fake\n  image-bak:oven: local\n  lock: a\n", "name: bakery\nruntime: python\n"
    ),
    "a program with other resources": Layout(
        "config:\n  bakery:oven: fake\n  image-bakery:oven: local\n  lock: a\n", "name: bakery\nruntime: python\n"
    ),
    "a full name": Layout("config:\n  image-bakery:oven: fake\n", name="organization/image-bakery/dev"),
}
SECRET = "https://user:t0ken-of-somebody@example.com/spack.git"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, engine_path: str) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("settings")
    (folder / "backend").mkdir()
    return shop.environment(folder, folder / "home", engine_path)


@pytest.fixture
def here(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_HOME", "PATH"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pulumi(*arguments: str) -> str:
    command = ["pulumi", *arguments, "--non-interactive"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout


def init(here: Path, project: str = PROJECT) -> None:
    """Make the stack of the project, unless an earlier test did."""
    (here / "Pulumi.yaml").write_text(project, encoding="utf-8")
    if "dev" not in {one["name"] for one in json.loads(pulumi("stack", "ls", "--json"))}:
        pulumi("stack", "init", "dev")
        (here / "Pulumi.dev.yaml").unlink()


def of_engine(project: str, entries: dict[str, Any]) -> dict[str, Any]:
    mine = {key.removeprefix(f"{project}:"): entry for key, entry in entries.items() if key.startswith(f"{project}:")}
    structured = {key for key, entry in mine.items() if isinstance(entry.get("objectValue"), list | dict)}
    return {key: json.loads(entry["value"]) if key in structured else entry["value"] for key, entry in mine.items()}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_values_are_those_of_the_engine(here: Path, name: str) -> None:
    layout = LAYOUTS[name]
    init(here, layout.project.partition("\n")[0] + "\nruntime: python\n")
    (here / "Pulumi.yaml").write_text(layout.project, encoding="utf-8")
    if layout.stack is not None:
        (here / layout.file).parent.mkdir(parents=True, exist_ok=True)
        (here / layout.file).write_text(layout.stack, encoding="utf-8")
    found = files.find(here, layout.name, *layout.options)
    ours, secrets = files.values(found, files.refuse)
    options = [f"--config-file={option}" for option in layout.options]
    theirs = json.loads(pulumi("config", "--json", "--stack", layout.name, *options))
    assert json.dumps(ours, sort_keys=True) == json.dumps(of_engine(found.namespace, theirs), sort_keys=True)
    assert secrets == {}


@pytest.mark.parametrize(
    ("stack", "shared"),
    [
        ("- 1\n", ""),
        ("config: [\n", ""),
        ("config:\n  image-bakery:lock: a\n  image-bakery:lock: b\n", ""),
        ("config:\n  image-bakery:nonce: {a: .inf}\n", ""),
        ("config:\n  image-bakery:select: [a]\n", "config: {'select[3]': b}\n"),
        ("config:\n  image-bakery:select: {a: b}\n", "config: {'select[0]': b}\n"),
    ],
)
def test_what_the_engine_refuses_is_refused(here: Path, stack: str, shared: str) -> None:
    init(here)
    (here / "Pulumi.yaml").write_text(PROJECT + shared, encoding="utf-8")
    (here / "Pulumi.dev.yaml").write_text(stack, encoding="utf-8")
    with pytest.raises(InputError):
        files.values(files.find(here, "dev"), files.refuse)
    with pytest.raises(AssertionError):
        pulumi("config", "--json", "--stack", "dev")


def test_a_secret_is_decrypted_by_the_engine(here: Path) -> None:
    init(here, PROJECT + "config: {retentionDays: 5}\n")
    pulumi("config", "set", "--stack", "dev", "--path", "image-bakery:spack.source", SECRET, "--secret")
    pulumi("config", "set", "--stack", "dev", "--path", "image-bakery:spack.ref", "v1.0")
    pulumi("config", "set", "--stack", "dev", "gcp:credentials", "x", "--secret")
    for stack in ("dev", "organization/image-bakery/dev"):
        settings = engine.stack_settings(here, stack)
        assert (settings.spack.source, settings.spack.ref, settings.retention["*"].days) == (SECRET, "v1.0", 5)
        assert settings.secrets == {"spack.source": SECRET, "spack.ref": "v1.0"}, "the engine marks the whole key"
    assert SECRET not in repr(settings.secrets.keys()) + "".join(
        file.read_text(errors="replace") for file in (here / "cache").rglob("*") if file.is_file()
    )


def test_the_secret_of_another_provider_needs_no_engine(here: Path) -> None:
    init(here)
    pulumi("config", "set", "--stack", "dev", "gcp:credentials", "x", "--secret")
    assert files.values(files.find(here, "dev"), files.refuse) == ({}, {})


def test_without_the_passphrase_the_way_out_is_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init(here)
    pulumi("config", "set", "--stack", "dev", "--path", "image-bakery:spack.source", SECRET, "--secret")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "lost")
    with pytest.raises(Exception, match="docs/settings") as caught:
        engine.stack_settings(here, "dev")
    assert "incorrect passphrase" in str(caught.value)
