"""What slurm-gcp expects of an image: the table, the job that checks an image, and the page that shows the table."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bakery.recipe.load import load
from tests.support.every import every
from tests.support.root import ROOT

SCRIPT = ROOT / "common/test/slurm_gcp.py"
TABLE = SCRIPT.with_suffix(".tsv")
PAGE = ROOT / "docs/slurm-gcp.md"
VERSIONS = ("4", "6")
PROGRAM = "#!/bin/sh\ncase $1 in -V) echo 'It is 99.9.1' ;; esac\n"


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("slurm_gcp", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look for their module
    spec.loader.exec_module(module)
    return module


slurm_gcp = _script()
NEEDS = slurm_gcp.read(TABLE)


def put(file: Path, text: str = "", mode: int = 0o644) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)


def append(file: Path, line: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as sink:
        sink.write(f"{line}\n")


def unit(root: Path, name: str, *, wanted: bool = False) -> None:
    put(root / "usr/lib/systemd/system" / name)
    if wanted:
        link = root / "etc/systemd/system/multi-user.target.wants" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"/usr/lib/systemd/system/{name}")


def link(root: Path, name: str) -> None:
    at, target = name.split()
    (root / at.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    (root / at.lstrip("/")).symlink_to(target)


MAKERS: dict[str, Callable[[Path, str], None]] = {
    "command": lambda root, name: put(root / "usr/bin" / name, PROGRAM, 0o755),
    "path": lambda root, name: put(root / name.lstrip("/"), PROGRAM, 0o755),
    "folder": lambda root, name: (root / name.lstrip("/")).mkdir(parents=True, exist_ok=True),
    "link": link,
    "user": lambda root, name: append(root / "etc/passwd", f"{name}:x:1:1::/:/bin/sh"),
    "off": unit,
    "on": lambda root, name: unit(root, name, wanted=True),
    "made": lambda root, name: append(root / "etc/tmpfiles.d/a.conf", f"d {name} 0755 slurm slurm -"),
    "plugin": lambda root, name: put(root / f"usr/lib/x86_64-linux-gnu/slurm-wlm/{name}.so"),
    "version": lambda root, name: put(root / "usr/sbin/slurmd", PROGRAM, 0o755),
    "python": lambda root, name: put(root / name.split()[0].lstrip("/"), PROGRAM, 0o755),
    "module": lambda root, name: None,  # the interpreter is a row of its own
    "google": lambda root, name: None,
}


def made(root: Path, version: str, *, without: Any = None) -> Any:
    """An image that has all that a version needs, by the last of a need's alternatives."""
    put(root / "etc/passwd")
    for need in NEEDS:
        if need.version == version and need != without:
            MAKERS[need.kind](root, need.name.split(" or ")[-1])
    return slurm_gcp.Image(root)


def needs(version: str) -> list[Any]:
    return [need for need in NEEDS if need.version == version]


def test_each_row_says_of_which_version_and_machines_it_is_and_where_it_was_read() -> None:
    assert {need.version for need in NEEDS} == set(VERSIONS)
    known = {"all", "controller", "login", "compute", "controller, compute"}
    assert every(need.machines in known and need.source.count("/") and need.kind in MAKERS for need in NEEDS)
    assert len({(need.version, need.machines, need.kind, need.name) for need in NEEDS}) == len(NEEDS)
    head = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    for commit in ("aca577d", "9b74450", "cb3d186", "1047080", "13fd92b"):
        assert any(commit in line for line in head)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_image_with_all_of_it_lacks_nothing(version: str, tmp_path: Path) -> None:
    assert list(slurm_gcp.unmet(made(tmp_path, version), needs(version))) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_what_an_image_lacks_is_named_with_the_machines_and_the_purpose(version: str, tmp_path: Path) -> None:
    kinds = {need.kind: need for need in needs(version) if need.kind not in ("module", "google", "version")}
    assert len(kinds) > 7
    for number, need in enumerate(kinds.values()):
        found = list(slurm_gcp.unmet(made(tmp_path / str(number), version, without=need), needs(version)))
        assert str(need) in found, need
        assert need.machines in str(need) and need.purpose in str(need) and need.source in str(need)


def test_an_empty_image_lacks_everything_but_what_google_brings(tmp_path: Path) -> None:
    put(tmp_path / "etc/passwd")
    image = slurm_gcp.Image(tmp_path)
    found = list(slurm_gcp.unmet(image, NEEDS))
    assert len(found) == len([need for need in NEEDS if need.kind != "google"])
    put(tmp_path / slurm_gcp.PRODUCT, "Google Compute Engine\n")
    assert len(list(slurm_gcp.unmet(image, NEEDS))) == len(NEEDS)


def test_a_module_that_cannot_be_imported_is_named_with_the_error(tmp_path: Path) -> None:
    put(tmp_path / "usr/bin/python3", f'#!/bin/sh\nexec {sys.executable} -I "$@"\n', 0o755)
    rows = [
        slurm_gcp.Need("4", "all", "module", f"python3 {name}", "x", "y/z") for name in ("json.tool", "no_such.thing")
    ]
    (line,) = slurm_gcp.unmet(slurm_gcp.Image(tmp_path), rows)
    assert line.startswith("all: module python3 no_such.thing (x; y/z): ModuleNotFoundError: ")


def test_a_folder_that_is_a_link_cannot_be_mounted_over(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "etc").symlink_to("other")
    assert not slurm_gcp.has_folder(slurm_gcp.Image(tmp_path), "/etc")
    assert slurm_gcp.has_folder(slurm_gcp.Image(tmp_path), "/other")


def test_a_unit_that_starts_by_itself_is_not_off(tmp_path: Path) -> None:
    unit(tmp_path, "slurmd.service", wanted=True)
    image = slurm_gcp.Image(tmp_path)
    assert (slurm_gcp.is_off(image, "slurmd.service"), slurm_gcp.is_on(image, "slurmd.service")) == (False, True)
    assert not slurm_gcp.is_off(image, "absent.service")


def test_a_lower_version_is_not_enough(tmp_path: Path) -> None:
    put(tmp_path / "usr/sbin/slurmd", "#!/bin/sh\necho slurm-wlm 22.05.8\n", 0o755)
    image = slurm_gcp.Image(tmp_path)
    assert slurm_gcp.has_version(image, "slurm 20.11") and slurm_gcp.has_version(image, "slurm 22.05")
    assert not slurm_gcp.has_version(image, "slurm 24.11")


def test_a_row_that_is_none_is_an_error_with_its_line(tmp_path: Path) -> None:
    put(tmp_path / "table.tsv", "# a comment\n4\tall\tcommand\twget\n")
    with pytest.raises(ValueError, match=r"table\.tsv:2: not a row of six columns with a known kind"):
        slurm_gcp.read(tmp_path / "table.tsv")


def test_the_job_fails_with_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(SCRIPT.parent, tmp_path / "workspace/common/test")
    output = tmp_path / "workspace/rcc-debian/slurm-gcp"
    output.mkdir(parents=True)
    monkeypatch.chdir(output)
    image = made(tmp_path / "image", "4")
    assert slurm_gcp.main("common/test/slurm_gcp.tsv", "4", image) == 0
    assert capsys.readouterr().out == f"needs of slurm-gcp 4: {len(needs('4'))}, missing: 0\n"
    (tmp_path / "image/usr/bin/create-munge-key").unlink()
    assert slurm_gcp.main("common/test/slurm_gcp.tsv", "4", image) == 1
    said = capsys.readouterr()
    assert said.err.startswith(
        "slurm-gcp 4 misses on controller: command create-munge-key (makes the key of the cluster"
    )
    assert said.out.endswith("missing: 1\n")
    assert slurm_gcp.main("common/test/slurm_gcp.tsv", "5", image) == 1, "a version without needs is a mistake"
    with pytest.raises(FileNotFoundError, match=r"there is no common/no\.tsv in or above"):
        slurm_gcp.main("common/no.tsv", "4", image)


def test_the_images_for_slurm_gcp_are_checked_and_the_table_is_a_file_of_that_test() -> None:
    recipes = {recipe.name: recipe for recipe in load(ROOT / "packages", ROOT / "common").recipes}
    for name, version in (("rcc-debian", "4"), ("rcc-ubuntu", "4"), ("rcc-debian-slurm-gcp-6", "6")):
        suite = recipes[name].suite
        assert suite is not None
        (job,) = (job for job in suite.jobs if "slurm_gcp" in job.execution_command)
        assert job.execution_command.split() == ["common/test/slurm_gcp.py", "common/test/slurm_gcp.tsv", version]
    assert os.access(SCRIPT, os.X_OK)


def rendered(version: str) -> str:
    """The needs of a version as a table of the page."""
    lines = ["| machines | what | for | read in |", "|---|---|---|---|"]
    lines += [
        f"| {need.machines} | {need.kind} `{need.name}` | {need.purpose} | `{need.source}` |" for need in needs(version)
    ]
    return "\n".join(lines)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_page_shows_the_table(version: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert rendered(version) in text, f"put this into {PAGE.name}:\n{rendered(version)}"


def test_the_page_says_what_the_kinds_mean() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert every(f"`{kind}`" in text for kind in slurm_gcp.KINDS)
