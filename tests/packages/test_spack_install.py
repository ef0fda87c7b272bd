"""``common/spack-install.sh`` with a Spack that only writes down how it was called."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from bakery.host import process
from bakery.ovens.local import file_server
from tests.support.root import ROOT

SCRIPT = ROOT / "common" / "spack-install.sh"
SPACK = r"""#!/bin/bash
echo "$*" >>"$FAKE/calls"
fail() {
  echo "the compiler said no" >"$FAKE/spack-build-out.txt"
  printf '==> Error: ProcessError\nSee build log for details:\n  %s\n' "$FAKE/spack-build-out.txt"
  exit 3
}
if [[ -n ${FAIL:-} && "$*" == *"$FAIL"* ]]; then fail; fi
case "$*" in
'gpg '*) echo "$SPACK_GNUPGHOME" >>"$FAKE/homes" ;;
--version) echo "${VERSION:-1.1.0}" ;;
compilers)
  printf -- '-- gcc debian12-x86_64 --\n[e]  gcc@12.2.0  [+]  gcc@9.4.0\n'
  if [[ -f $FAKE/later ]]; then printf -- "-- $LATER debian12-x86_64 --\n$LATER\n"; fi
  ;;
install*)
  touch "$FAKE/later"
  ;;
location*) echo "$FAKE/intel" ;;
*concretize) echo '{}' >"$2/spack.lock" ;;
*' install '*)
  cp "$SPACK_ROOT/etc/spack/mirrors.yaml" "$FAKE/mirrors.used"
  if grep -q rcc-new "$FAKE/mirrors.used"; then
    mkdir -p "$INSTALL_ROOT/spack-cache-new/blobs"
    echo binary >"$INSTALL_ROOT/spack-cache-new/blobs/zlib"
  fi
  if [[ -z ${CACHED:-} ]]; then echo "==> zlib: Executing phase: 'install'"; fi
  echo '==> zlib: Successfully installed zlib'
  ;;
'env activate --sh'*) printf "export SPACK_ENV=x;\nexport PATH=/view/bin:$PATH;\nalias despacktivate='x';\n" ;;
esac
if [[ -n ${FAIL_LATE:-} && "$*" == *"$FAIL_LATE"* ]]; then fail; fi
"""


@dataclass(frozen=True)
class Machine:
    folder: Path

    def run(self, **more: str) -> tuple[int, str]:
        """Exit code and output of the script."""
        environment = {
            "PATH": os.environ["PATH"],
            "FAKE": str(self.folder),
            "INSTALL_ROOT": str(self.folder / "opt"),
            "SYSTEM_ETC": str(self.folder / "etc"),
            "UPLOADS": str(self.folder / "uploads"),
            "SPACK_SOURCE": str(self.folder / "spack"),
            "SPACK_PACKAGES_SOURCE": str(self.folder / "recipes"),
            "SYSTEM_COMPILER": "gcc@12.2.0",
            "COMPILER": "gcc@12.2.0",
            "ARCH": "zen3",
        } | more
        words = ["env", "-i", *(f"{key}={value}" for key, value in environment.items()), "bash", "-c"]
        said = process.output([*words, f'bash "{SCRIPT}" 2>&1; echo "exit: $?"'])
        text, _, code = said.rpartition("exit: ")
        return int(code), text

    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def upload(self, text: str, name: str = "spack.yaml") -> None:
        (self.folder / "uploads" / name).write_text(text, encoding="utf-8")

    @property
    def environment(self) -> str:
        return (self.folder / "opt/spack-pkg-env/spack.yaml").read_text(encoding="utf-8")

    @property
    def mirrors(self) -> str:
        """What the bake used."""
        return (self.folder / "mirrors.used").read_text(encoding="utf-8")

    @property
    def mirrors_left(self) -> str:
        """What is in the image."""
        return (self.folder / "opt/spack/etc/spack/mirrors.yaml").read_text(encoding="utf-8")


def program(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for folder in ("etc", "uploads", "recipes", "spack/etc/spack"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "spack/etc/spack/README").touch()  # git keeps no empty folder
    (tmp_path / "etc/os-release").write_text("ID=none\n", encoding="utf-8")
    program(tmp_path / "spack/bin/spack", SPACK)
    program(tmp_path / "opt/spack-python/bin/python3", "#!/bin/sh\nexit 0\n")  # has clingo
    made = Machine(tmp_path)
    made.upload("spack:\n  view: @INSTALL_ROOT@/view\n  specs: [a %@COMPILER@ target=@ARCH@, b %@SYSTEM_COMPILER@]\n")
    return made


def test_an_environment_is_installed_and_found_by_a_login(machine: Machine) -> None:
    code, text = machine.run()
    assert code == 0, text
    assert f"view: {machine.folder}/opt/view" in machine.environment
    assert "a %gcc@12.2.0 target=zen3, b %gcc@12.2.0" in machine.environment
    assert any(call.endswith("concretize") for call in machine.calls())
    profile = machine.folder / "etc/profile.d/z10_spack_environment.sh"
    said = process.output(["env", "-i", "PATH=/usr/bin:/bin", "bash", "-c", f'. {profile}; echo "$PATH $SPACK_ROOT"'])
    assert said.strip() == f"/view/bin:/usr/bin:/bin {machine.folder}/opt/spack"


def test_run_again_it_neither_solves_nor_fetches_again(machine: Machine) -> None:
    machine.run()
    (machine.folder / "calls").unlink()
    code, text = machine.run()
    assert code == 0, text
    assert "is there" in text
    assert not any(call.endswith("concretize") for call in machine.calls())


def test_a_changed_environment_is_solved_anew(machine: Machine) -> None:
    machine.run()
    (machine.folder / "calls").unlink()
    machine.upload("spack:\n  specs: [c]\n")
    assert machine.run()[0] == 0
    assert any(call.endswith("concretize") for call in machine.calls())


@pytest.mark.parametrize("step", ["compiler find", "concretize", "install --fail-fast", "gc", "clean"])
def test_it_ends_at_the_first_error_and_says_which(machine: Machine, step: str) -> None:
    code, text = machine.run(FAIL=step)
    assert code == 3
    assert "the compiler said no" in text  # the package's log
    assert "spack-install: Spack said: Error: ProcessError" in text.splitlines()[-2]
    assert "spack-install: line " in text and step in text.splitlines()[-1]
    assert step in machine.calls()[-1]


def test_a_placeholder_that_nobody_knows_is_named(machine: Machine) -> None:
    machine.upload("spack:\n  specs: [a@VERSION@]\n")
    code, text = machine.run()
    assert code == 1 and "@VERSION@" in text and "@INSTALL_ROOT@" in text


def test_a_system_compiler_that_is_not_there_is_named_with_those_that_are(machine: Machine) -> None:
    code, text = machine.run(SYSTEM_COMPILER="gcc@4.8.5")
    assert code == 1 and "gcc@4.8.5" in text and "gcc@9.4.0 gcc@12.2.0" in text


def test_without_a_system_compiler_the_newest_gcc_is_it(machine: Machine) -> None:
    code, text = machine.run(SYSTEM_COMPILER="", COMPILER="")
    assert code == 0, text
    assert "a %gcc@12.2.0 target=zen3, b %gcc@12.2.0" in machine.environment


INTEL = "intel-oneapi-compilers@2025.2.1"


@pytest.mark.parametrize(
    ("version", "name"), [("0.18.1", "intel@2021.6.0"), ("0.23.1", "oneapi@2025.2.1"), ("1.1.0", INTEL)]
)
def test_intels_compilers_are_installed_and_have_the_name_that_spack_gives_them(
    machine: Machine, version: str, name: str
) -> None:
    program(machine.folder / "intel/bin/icx", "#!/bin/sh\n")
    machine.upload("packages: {all: {require: '%@COMPILER@'}}\n", "packages.yaml")
    code, text = machine.run(VERSION=version, COMPILER=INTEL, LATER=name)
    assert code == 0, text
    (install,) = [call for call in machine.calls() if call.startswith("install")]
    assert install.endswith(f"{INTEL} %gcc@12.2.0 target=x86_64")
    assert f"%{name.removesuffix('@2021.6.0')}'" in (machine.folder / "opt/spack/etc/spack/packages.yaml").read_text()
    (machine.folder / "calls").unlink()
    assert machine.run(VERSION=version, COMPILER=INTEL, LATER=name)[0] == 0
    assert not any(call.startswith("install") for call in machine.calls())


def test_what_was_built_goes_into_the_cache(machine: Machine) -> None:
    code, text = machine.run(SPACK_CACHE="file:///cache", SPACK_MIRROR="file:///mirror")
    assert code == 0, text
    # Each package as soon as it is built, so that a bake that fails later has not built in vain; at the end the index.
    assert "{url: 'file:///cache', binary: true, source: false, signed: false, autopush: true}" in machine.mirrors
    pushed = [call for call in machine.calls() if "buildcache" in call]
    assert (
        pushed[0].endswith("buildcache push --unsigned rcc-cache") and pushed[1] == "buildcache update-index rcc-cache"
    )


def test_what_came_out_of_the_cache_does_not_go_into_it(machine: Machine) -> None:
    assert machine.run(SPACK_CACHE="file:///cache", CACHED="yes")[0] == 0
    assert not any("buildcache" in call for call in machine.calls())


@pytest.mark.parametrize("step", ["install --fail-fast", "buildcache push", "buildcache update-index"])
def test_a_push_that_an_earlier_run_owes_is_made_up_for(machine: Machine, step: str) -> None:
    assert machine.run(SPACK_CACHE="file:///cache", FAIL=step)[0] == 3
    (machine.folder / "calls").unlink()
    assert machine.run(SPACK_CACHE="file:///cache", CACHED="yes")[0] == 0
    assert any("buildcache push" in call for call in machine.calls())
    (machine.folder / "calls").unlink()
    assert machine.run(SPACK_CACHE="file:///cache", CACHED="yes")[0] == 0
    assert not any("buildcache" in call for call in machine.calls())


def test_a_key_signs(machine: Machine) -> None:
    (machine.folder / "key").touch()
    assert machine.run(SPACK_CACHE="file:///cache", SPACK_CACHE_KEY=str(machine.folder / "key"))[0] == 0
    calls = machine.calls()
    trusted = [call for call in calls if call.startswith("gpg trust")]
    assert [call.rpartition("/")[2] for call in trusted] == ["secret", "public"]  # the second is for the image
    homes = (machine.folder / "homes").read_text(encoding="utf-8").splitlines()
    assert str(machine.folder) not in homes[1] and homes[-1] == f"{machine.folder}/opt/spack/opt/spack/gpg"
    assert any(call.endswith("buildcache push rcc-cache") for call in calls)
    assert not any("--no-check-signature" in call for call in calls)


def test_a_cache_on_http_that_takes_nothing_is_only_read(machine: Machine) -> None:
    code, text = machine.run(SPACK_CACHE="http://127.0.0.1:1/cache")
    assert code == 0 and "read-only" in text
    assert "autopush" not in machine.mirrors
    assert not any("buildcache" in call for call in machine.calls())


@pytest.mark.parametrize("fail", ["", "install --fail-fast"])
def test_a_cache_on_http_that_takes_files_gets_what_was_built(machine: Machine, fail: str) -> None:
    with file_server.shared({"spack_cache": str(machine.folder / "cache")}, machine.folder) as variables:
        address = variables["spack_cache"].replace(file_server.HOST, "127.0.0.1")
        code, text = machine.run(SPACK_CACHE=address, FAIL_LATE=fail)
    assert code == (3 if fail else 0), text
    assert (machine.folder / "cache/blobs/zlib").read_text(encoding="utf-8") == "binary\n"
    assert not (machine.folder / "opt/spack-cache-new").exists()
    assert not any("buildcache" in call for call in machine.calls())


def test_what_only_the_bake_can_reach_is_not_left_in_the_image(machine: Machine) -> None:
    (machine.folder / "uploads/spack-mirror").mkdir()
    assert machine.run(SPACK_CACHE="http://10.0.2.2:1/a/cache", SPACK_MIRROR="http://10.0.2.2:1/a/mirror")[0] == 0
    assert "rcc-brought" in machine.mirrors
    assert machine.mirrors_left == "mirrors: {}\n"
    machine.upload("spack:\n  specs: [d]\n")
    assert machine.run(SPACK_CACHE="gs://bucket/cache")[0] == 0
    assert "gs://bucket/cache" in machine.mirrors_left and "autopush" not in machine.mirrors_left


def test_old_spacks_get_old_mirrors_and_no_package_repository(machine: Machine) -> None:
    code, text = machine.run(VERSION="0.18.1", SPACK_CACHE="file:///cache")
    assert code == 0, text
    assert machine.mirrors == "mirrors:\n  rcc-cache: file:///cache\n"
    assert any("buildcache create" in call for call in machine.calls())
    assert not (machine.folder / "opt/spack-packages").exists()


def archive_of(folder: Path) -> Path:
    file = folder.parent / "spack-1.tar.gz"
    process.output(["tar", "-czf", str(file), "-C", str(folder.parent), folder.name])
    return file


def test_spack_from_an_archive_is_checked(machine: Machine) -> None:
    file = archive_of(machine.folder / "spack")
    sum_ = process.output(["sha256sum", str(file)]).split()[0]
    assert machine.run(SPACK_SOURCE=str(file), SPACK_REF=f"sha256:{sum_}")[0] == 0
    code, text = machine.run(SPACK_SOURCE=str(file), SPACK_REF="sha256:" + "0" * 64)
    assert code == 1 and "does not have sha256:" in text


def test_spack_from_git_is_the_pinned_tag(machine: Machine) -> None:
    folder = machine.folder / "spack"
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    process.output([*git, "init", "-q"])
    process.output([*git, "add", "."])
    process.output([*git, "commit", "-qm", "one"])
    process.output([*git, "tag", "v1"])
    shutil.rmtree(folder / "bin")
    process.output([*git, "commit", "-qam", "two"])
    assert machine.run(SPACK_REF="v1")[0] == 0
    assert machine.run(SPACK_REF="v2")[0] != 0


def test_without_an_environment_spack_alone_is_there(machine: Machine) -> None:
    (machine.folder / "uploads/spack.yaml").unlink()
    code, text = machine.run()
    assert code == 0 and "no environment" in text
    assert (machine.folder / "etc/profile.d/z10_spack_environment.sh").exists()
