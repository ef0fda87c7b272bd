"""Each thing that is wrong with a package is reported with file, line and what to do."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import Problem
from tests.support import recipe_tree
from tests.support.every import every
from tests.unit.recipe.test_load import MATRIX

ERROR, WARNING = "error", "warning"
TWICE = recipe_tree.SUITE + recipe_tree.SUITE.partition("\n")[2]  # each job a second time


def provisioner(**entry: Any) -> str:
    return recipe_tree.edited(provisioners=[*recipe_tree.template()["provisioners"], entry])


def variables(**changes: Any) -> str:
    return recipe_tree.edited(variables={**recipe_tree.VARIABLES, **changes})


def builder(**changes: Any) -> str:
    return recipe_tree.edited(builders=[{**recipe_tree.template()["builders"][0], **changes}])


def suite(old: str, new: str) -> str:
    assert old in recipe_tree.SUITE
    return recipe_tree.SUITE.replace(old, new)


def build(old: str, new: str) -> str:
    assert old in recipe_tree.build()
    return recipe_tree.build().replace(old, new)


def matrix(old: str, new: str) -> str:
    assert old in MATRIX
    return MATRIX.replace(old, new)


P, B, F, S, R, T = (
    "packer.json",
    "cloudbuild.yaml",
    "fluidrun.yaml",
    "env/spack.yaml",
    "recipe.yaml",
    "test/rcc.auto.tfvars",
)
GOOD = recipe_tree.edited()
NODES = "cluster:\n  partitions:\n  - name: debug\n"
N4 = "controller_machine_type: n4-standard-2, controller_disk_type: pd-ssd"
C2 = 'machine_type = "c2-standard-8"'
PARTITIONS = 'login_node_count = 0\npartitions = [\n  { name = "debug"\n    zone = "<zone>"\n  },\n]\n'

Where = str | tuple[str, str]  # a part of the line that a problem points to; with its file, when that is another one
Case = tuple[str, str | bytes, str, str, Where]  # file, its content, severity, a part of the message, where
CASES: list[Case] = [
    (P, "{", ERROR, "invalid JSON", "{"),
    (T, PARTITIONS.replace("zone =", "enable_placement = true, zone ="), ERROR, "enable_placement of", "zone"),
    (R, NODES + "    nic_type: IDPF\n", ERROR, "partition debug: machine type e2-standard-2 has no IDPF", "nic"),
    (R, NODES + "    nic_type: VIRTIO\n", ERROR, "'VIRTIO' is not one of", "nic_type"),
    (R, NODES + "    nodes: 65537\n", ERROR, "65537 is greater than the maximum of 65536", "nodes"),
    (R, NODES + "    disk_size_gb: 1000000000\n", ERROR, "greater than the maximum of 999999999", "disk"),
    (R, f"cluster: {{{N4}}}", ERROR, "controller_disk_type: machine type n4-standard-2 can't boot from pd-ssd", "pd-"),
    (P, GOOD + "}", ERROR, "invalid JSON", "}}"),
    (P, "[]", ERROR, "is []", ""),
    (P, '{"variables": NaN}', ERROR, "cannot be read", ""),
    (P, builder(disk_size=20).replace(": 20", ": 1e999"), ERROR, "1e999 is too large", ""),
    (P, "[" * 5000, ERROR, "", ""),
    (P, '{"a": ' * 80 + "1" + "}" * 80, ERROR, "nested", ""),
    (P, GOOD.replace('"app"', '"\\ud800"'), ERROR, "surrogate", ""),
    (P, GOOD.encode() + b"\xff", ERROR, "UTF-8", "}"),
    (P, b"\xef\xbb\xbf" + GOOD.encode(), WARNING, "byte-order", ""),
    (P, GOOD.replace('"image_name": "app"', '"image_name": "app",\n"image_name": ""'), ERROR, "duplicate",
        "image_name"),
    (P, recipe_tree.edited(colour="red"), ERROR, "unknown key colour", "colour"),
    (P, recipe_tree.edited(builders=[]), ERROR, "no builder", "builders"),
    (P, recipe_tree.edited(provisioners={}), ERROR, "provisioners is", "provisioners"),
    (P, provisioner(inline=["true"]), ERROR, "no type", "{"),
    (P, variables(install_root=["/opt"]), ERROR, "write a string", "install_root"),
    (P, variables(project=None), WARNING, "not used", "project"),
    (P, variables(image_name="{{user `image_name`}}"), ERROR, "refers to itself", "image_name"),
    (P, builder(zone="{{user `zone`}}"), ERROR, "undeclared variable", "zone"),
    (P, builder(zone="{{user `zone`}}").replace('"variables": {', '"variables": {\n"zone": null,'),
        ERROR, "has no value", '"zone": null'),
    (P, provisioner(type="shell", script="{{user `pkg_path`}}/gone.sh"), ERROR, "does not exist", "gone.sh"),
    (P, provisioner(type="shell", scripts=["packages/app/gone.sh"]), ERROR, "does not exist", "gone.sh"),
    (P, provisioner(type="file", source="packages/app/share"), ERROR, "does not exist", "share"),
    (P, provisioner(type="file", sources=["packages/other/x"]), ERROR, "does not exist", "other"),
    (P, provisioner(type="file", source="/etc/hosts"), ERROR, "outside", "/etc/hosts"),
    (P, provisioner(type="file", source="../secret"), ERROR, "does not exist", "secret"),
    (P, provisioner(type="file", source="{{template_dir}}/x"), ERROR, "'packages/app/x' does not exist",
        "template_dir"),
    (P, provisioner(type="file", source="{{timestamp}}/x"), WARNING, "only known in the bake: the whole package counts",
        "timestamp"),
    (P, provisioner(type="file", source=3), ERROR, "write a path", '"source": 3'),
    (P, provisioner(type="ansible", playbook_file="packages/app/play.yml"), ERROR, "does not exist", "play.yml"),
    (P, builder(startup_script_file="packages/app/start.sh"), ERROR, "does not exist", "start.sh"),
    (P, variables(pkg_path="packages/other"), WARNING, "names another package", "pkg_path"),
    (B, build("_PKG_PATH: packages/app", "_PKG_PATH: ../app"), ERROR, "pkg_path is", ("pkg_path", P)),
    (B, "steps: [", ERROR, "invalid YAML", ""),
    (B, "a: &x [*x]", ERROR, "", ""),
    (B, "? [a]\n: 1\n", ERROR, "key that is a list", ""),
    (B, "steps: !!python/object:os.system x", ERROR, "tag", ""),
    (B, "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n", ERROR, "expanded", "a: &a"),
    (B, build("timeout : 1800s", "timeout: soon"), ERROR, "timeout is", "timeout"),
    (B, build("timeout : 1800s", "timeout: " + "9" * 5000 + "s"), ERROR, "timeout is", "timeout"),
    (B, build("timeout : 1800s", "timeout: 100000s"), ERROR, "timeout is", "timeout"),
    (B, build("  _COMPILER: gcc@12\n", ""), WARNING, "_COMPILER is not set", "args"),
    (B, build("$PROJECT_ID", "$PROJECT"), WARNING, "PROJECT is not set", "args"),
    (B, build("  _COMPILER:", "  _COMPILER: gcc@11\n  _COMPILER:"), WARNING, "duplicate key _COMPILER", "gcc@12"),
    (B, build("  _COMPILER:", "  _COLOUR: red\n  _COMPILER:"), WARNING, "is not used", "_COLOUR"),
    (B, build("  _COMPILER:", "  _COLOUR: [red]\n  _COMPILER:"), ERROR, "write a string", "_COLOUR"),
    (B, build('"-var", "project_id', '"-var", "colour=red", "-var", "project_id'),
        WARNING, "undeclared variable of packer", "args"),
    (B, build("name: hashicorp/packer", "name: 3"), ERROR, "no name", "id:"),
    (B, "steps: []\n", WARNING, "no step", "steps"),
    (F, "tests: []\n", ERROR, "no tests", "tests"),
    (F, suite("tests:", "upgrade: 'yes'\ntests:"), ERROR, "upgrade is 'yes'", "upgrade"),
    (F, suite("tests:", "upgrades: true\ntests:"), WARNING, "unknown key upgrades", "upgrades"),
    (F, suite("output_directory: app/smoke", "output_directory: ../x"), ERROR, "outside", "../x"),
    (F, suite("output_directory: app/smoke", "output_directory: /x"), ERROR, "outside", "/x"),
    (F, suite("output_directory: app/smoke", "output_directory: ."), ERROR, "outside", "output_directory: ."),
    (F, suite("output_directory: app/smoke", 'output_directory: "a\\0b"'), ERROR, "control", "output_directory"),
    (F, suite("command_group: smoke", 'command_group: "a\\nb"'), ERROR, "line ends", "command_group"),
    (F, suite("command_group: smoke", "command_group: ' '"), ERROR, "command_group is", "command_group"),
    (F, TWICE, WARNING, "duplicate output_directory app/smoke", "app/smoke"),
    (F, suite("packages/app/test/run.sh", "packages/app/test/gone.sh"), ERROR, "does not exist", "gone.sh"),
    (F, suite("packages/app/test/run.sh", "/bin/true"), ERROR, "outside", "/bin/true"),
    (F, suite("packages/app/test/run.sh", "../test/run.sh"), ERROR, "outside", "../test"),
    (F, suite("--fast", "'"), ERROR, "close the quotes", "execution_command"),
    (F, suite('"--nodes=1"', "--name='x"), ERROR, "close the quotes", "batch_options"),
    (F, suite("--nodes=1", "-N 3"), ERROR, "asks for 3 nodes", "-N 3"),
    (F, suite("--nodes=1", "-N 1k-2k"), ERROR, "asks for 1024 nodes", "-N 1k"),
    (F, suite("partition: debug", "partition: large"), ERROR, "no cluster has partition", "large"),
    (F, suite("partition: debug", "attempts: 0"), ERROR, "attempts is 0", "attempts"),
    (F, suite("partition: debug", "time_limit: " + "9" * 5000 + "s"), ERROR, "time_limit is", "time_limit"),
    (F, suite("reference: 2", "reference: .nan"), ERROR, "holds .nan", "reference"),
    (F, suite("reference: 2", "reference: 1" + "0" * 400), ERROR, "holds 1000", "reference"),
    (F, suite("partition: debug", "time_limit: soon"), ERROR, "time_limit is", "time_limit"),
    (F, suite("partition: debug", "colour: red"), WARNING, "unknown key colour", "colour"),
    (F, suite("command_group: smoke", "command_group: 3"), ERROR, "command_group is 3", "command_group"),
    (F, suite("speed=(\\S+)", "speed=(\\S+"), ERROR, "invalid regular expression", "pattern"),
    (F, suite("speed=(\\S+)", "speed=\\S+"), ERROR, "no group", "pattern"),
    (F, suite("lower: -0.1", "lower: 0.1"), ERROR, "lower is 0.1", "lower"),
    (F, suite("upper: 0.5", "upper: -0.5"), ERROR, "upper is -0.5", "upper"),
    (F, suite("reference: 2", "reference: fast"), ERROR, "write a number", "reference"),
    (F, suite("    reference: 2\n", ""), WARNING, "no reference", "name: speed"),
    (F, suite("unit: Gflop/s", "file: ../x"), ERROR, "outside", "../x"),
    (S, recipe_tree.SPACK.replace("@ARCH@", "@TARGET@"), ERROR, "nothing fills @TARGET@", "TARGET"),
    (S, recipe_tree.SPACK.replace("@ARCH@", "@SYSTEM_COMPILER@"), WARNING, "replaced by nothing", "SYSTEM_COMPILER"),
    (S, recipe_tree.SPACK + "  concretization: together\n", WARNING, "concretization", "concretization"),
    (S, recipe_tree.SPACK + "  config:\n    install_tree: /opt\n", WARNING, "install_tree", "install_tree"),
    (S, recipe_tree.SPACK + "  x: [\n", ERROR, "invalid YAML", ""),
    (S, "specs: []\n", ERROR, "no mapping below spack", ""),
    (T, PARTITIONS + "x = 1 2\n", ERROR, "invalid tfvars", "x = 1 2"),
    (T, PARTITIONS + "x = var.y\n", ERROR, "invalid tfvars", "x = var.y"),
    (T, PARTITIONS.replace("<zone>", "<moon>"), WARNING, "nothing fills <moon>", "<moon>"),
    (T, PARTITIONS.replace('"debug"', "[3]"), ERROR, "name is", "name = [3]"),
    (T, PARTITIONS.replace('"<zone>"', "[3]"), ERROR, "zone is [3]", "zone = [3]"),
    (T, PARTITIONS.replace("zone =", "max_node_count = -1, zone ="), ERROR, "max_node_count is -1", "max_node_count"),
    (T, PARTITIONS.replace("zone =", "static_node_count = 65537, zone ="), ERROR, "static_node_count is 65537", "zone"),
    (T, PARTITIONS.replace("zone =", "gpu_count = 1000000000, zone ="), ERROR, "gpu_count is 1000000000", "zone"),
    (T, PARTITIONS + 'x = "${var.y}"\n', ERROR, "unexpected '${var.y}'", "var.y"),
    (T, PARTITIONS + "x = <<E\n%{ if y }\nE\n", ERROR, "unexpected '%{ if y }'", "<<E"),
    (T, "login_node_count = 1\n", ERROR, "no partition", ""),
    (T, PARTITIONS.replace("zone =", "zone = 1, zone ="), WARNING, "duplicate key zone", "zone ="),
    (T, PARTITIONS + "login_node_count = 1\n", ERROR, "duplicate key login_node_count", "login_node_count = 1"),
    (T, PARTITIONS.replace('"debug"', '"large"'), ERROR, "no cluster has partition debug", ("debug", F)),
    (R, matrix("owners: [someone]", "owner: someone"), ERROR, "owner", ""),
    (R, matrix("{arch: zen3}\n    parent", "{arch: zen4}\n    parent"), ERROR, "not in the matrix", "zen4"),
    (R, matrix("family: app-{compiler}-{arch}", "family: app-{os}"), ERROR, "names no axis", "family"),
    (R, matrix("partitions: [debug]", "partitions: [gpu]"), ERROR, "unknown partition gpu", "gpu"),
    (R, matrix("{name: large, nodes: 4}", "{name: debug}"), ERROR, "duplicate partition debug", "debug"),
    (R, matrix("{_TARGET_ARCH: x86_64}", "{_COLOUR: red}"), WARNING, "nothing uses _COLOUR", "matrix"),
    (R, matrix("app/smoke: {speed: 3}", "app/smok: {speed: 3}"), ERROR, "no test has output_directory", "app/smok"),
    (R, matrix("{speed: 3}", "{sped: 3}"), ERROR, "app/smoke has no metric 'sped'", "sped"),
    (R, matrix("{speed: 3}", "{speed: {reference: -3, upper: 2}}"), ERROR, "upper of speed is beyond zero", "speed:"),
    (R, matrix("owners: [someone]", "references: {gone: {speed: 3}}"), ERROR, "no test has output_directory", "gone"),
    (R, matrix("compiler: [gcc@12, oneapi]", "compiler: [gcc@12, gcc-12, oneapi]"), ERROR, "duplicate variant", "axes"),
    (R, matrix("compiler: [gcc@12, oneapi]", "compiler: ['*', oneapi]"), ERROR, "no letter or digit", "axes"),
    (R, matrix("compiler: [gcc@12, oneapi]", f"compiler: {list(range(300))}"), ERROR, "", ""),
    (R, "secrets:\n  key: {version: 1}\n", ERROR, "not known where the secret key is", "key:"),
    (R, "secrets:\n  key: {version: 1, file: a, environment: B}\n", ERROR, "has a file and an environment", "file"),
    (R, "secrets:\n  key: {version: latest, secretManager: a}\n", ERROR, "not one of Secret Manager", "latest"),
    (R, "secrets:\n  key: {file: a}\n", ERROR, "version", ""),
    (R, "secrets:\n  Key: {version: 1, file: a}\n", ERROR, "Key", ""),
    (R, "licenceServers:\n- 1@a\n- lm.example.org\n", ERROR, "'lm.example.org' is not port@host", "lm.example"),
    (R, "licenceServers:\n- 1@a:2@b\n", ERROR, "'1@a:2@b' is not port@host", "1@a:2@b"),
    (R, "licenceServers: 1@a\n", ERROR, "is not of type 'array'", "licenceServers"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]}: {case[3]}" for case in CASES])
def test_it_is_reported(tmp_path: Path, case: Case) -> None:
    file, content, severity, message, where = case
    problems = recipe_tree.spoilt(tmp_path, {file: content})
    at, shown = (where, file) if isinstance(where, str) else where
    found = [p for p in problems if message in str(p) and p.severity == severity and p.file.endswith(shown)]
    assert found, [str(problem) for problem in problems]
    lines = (tmp_path / "packages/app" / shown).read_bytes().decode(errors="replace").splitlines()
    assert any(at in lines[problem.line - 1] for problem in found), [str(problem) for problem in found]
    assert every(problem.hint for problem in problems)


def messages(problems: tuple[Problem, ...]) -> str:
    return "\n".join(str(problem) for problem in problems)


def test_all_is_reported_at_once(tmp_path: Path) -> None:
    changed = {P: variables(extra="1"), B: build("timeout : 1800s", "timeout: x"), F: suite("app/smoke", "../x")}
    assert len(recipe_tree.spoilt(tmp_path, changed)) == 3


@pytest.mark.parametrize(("ref", "rejected"), [("v0.18.1", False), ("v0.23.1", True), ("v1.1.0", True), ("", True)])
def test_concretization_depends_on_the_pinned_spack(tmp_path: Path, ref: str, rejected: bool) -> None:
    content = recipe_tree.SPACK + "  concretization: together\n"
    assert bool(recipe_tree.spoilt(tmp_path, {S: content}, spack_ref=ref)) is rejected


def test_the_spack_that_a_template_declares_counts_and_its_rejection_is_an_error(tmp_path: Path) -> None:
    content = recipe_tree.SPACK + "  concretization: together\n"
    given = builder(labels={"spack": "{{user `spack_ref`}}"})
    for ref, severities in (("v1.1.0", [ERROR]), ("v0.18.1", [])):
        declared = given.replace('"variables": {', f'"variables": {{"spack_ref": "{ref}",')
        assert [p.severity for p in recipe_tree.spoilt(tmp_path, {P: declared, S: content})] == severities
    assert [p.severity for p in recipe_tree.loaded(tmp_path, spack_ref="v0.23.1").problems] == [ERROR]


def test_a_forgotten_system_compiler_is_reported(tmp_path: Path) -> None:
    recipe_tree.put(tmp_path / "common/spack-install.sh", "spack install % ${SYSTEM_COMPILER} ${ARCH:-x86_64}\n")
    script = "{{user `common_path`}}/spack-install.sh"
    environment = ["INSTALL_ROOT=/opt", "COMPILER=gcc@12"]
    problems = recipe_tree.spoilt(tmp_path, {P: provisioner(type="shell", script=script, environment_vars=environment)})
    assert "needs SYSTEM_COMPILER" in messages(problems)
    assert len(problems) == 1


def test_only_what_the_installer_cannot_do_without_is_missed(tmp_path: Path) -> None:
    """As rcc-apps' own does it: ARCH only fills its placeholder, and without COMPILER no compiler is installed."""
    script = "sed -i 's/@ARCH@/'\"${ARCH}\"'/' spack.yaml\n[[ -n \"$COMPILER\" ]] && spack install ${COMPILER}\n"
    recipe_tree.put(tmp_path / "common/spack-install.sh", script)
    runs = {"type": "shell", "script": "common/spack-install.sh", "environment_vars": ["INSTALL_ROOT=/opt"]}
    assert recipe_tree.spoilt(tmp_path, {P: provisioner(**runs), S: "spack:\n  specs: [zlib]\n"}) == ()
    problems = recipe_tree.spoilt(tmp_path, {P: provisioner(**runs)})  # what other provisioners set does not reach it
    assert [p.message.split()[0] for p in problems] == ["@ARCH@", "@COMPILER@"]
    recipe_tree.put(tmp_path / "common/spack-install.sh", script + "ARCH=${ARCH:-x86_64}\n")
    assert [p.message.split()[0] for p in recipe_tree.loaded(tmp_path).problems] == ["@COMPILER@"]


@pytest.mark.parametrize(
    ("key", "ref", "hint"),
    [
        ("specz: []", "v1.1.0", "write specs:"),
        ("gitlab-ci: {}", "v0.23.1", "an older Spack"),
        ("toolchains: {}", "v0.23.1", "a newer Spack"),
        ("gitlab-ci: {}", "v0.22.3", None),
        ("env_vars: {}", "", None),
    ],
)
def test_keys_that_the_pinned_spack_does_not_take(tmp_path: Path, key: str, ref: str, hint: str | None) -> None:
    problems = recipe_tree.spoilt(tmp_path, {S: f"{recipe_tree.SPACK}  {key}\n"}, spack_ref=ref)
    assert [(p.line, hint in p.hint) for p in problems if hint] == ([(5, True)] if hint else [])
    assert len(problems) == bool(hint)


@pytest.mark.parametrize("file", [B, F, S, "install.sh"])
def test_a_file_that_is_not_there(tmp_path: Path, file: str) -> None:
    problems = recipe_tree.spoilt(tmp_path, {file: None})
    severity = {B: [WARNING], F: []}.get(file, [ERROR])
    assert [problem.severity for problem in problems] == severity


def test_a_template_that_is_no_file(tmp_path: Path) -> None:
    folder = recipe_tree.write(tmp_path, {P: None})
    (folder / P).mkdir()
    assert "not a readable file" in messages(recipe_tree.loaded(tmp_path).problems)
    (folder / P).rmdir()
    os.mkfifo(folder / P)
    assert "pipe" in messages(recipe_tree.loaded(tmp_path).problems)


def test_links(tmp_path: Path) -> None:
    folder = recipe_tree.write(tmp_path)
    (tmp_path / "secret").write_text("x")
    for name, target in (
        ("inside", "install.sh"),
        ("shared", "../../common/etc"),
        ("loop", "loop"),
        ("up", ".."),
        ("out", "../../secret"),
        ("gone", "nothing"),
    ):
        (folder / name).symlink_to(target)
    recipes = recipe_tree.loaded(tmp_path)
    found = {Path(problem.file).name: problem for problem in recipes.problems}
    assert sorted(found) == ["gone", "loop", "out", "up"]
    assert [found[name].severity for name in ("gone", "loop", "out", "up")] == [WARNING, WARNING, ERROR, ERROR]
    paths = {file.path for file in recipes.recipes[0].files}
    assert {"packages/app/inside", "packages/app/shared/sysctl.conf"} <= paths


def test_a_package_that_lies_elsewhere(tmp_path: Path) -> None:
    recipe_tree.write(tmp_path)
    recipe_tree.write(tmp_path / "elsewhere", name="other")
    (tmp_path / "packages/other").symlink_to(tmp_path / "elsewhere/packages/other")
    (tmp_path / "packages/words").symlink_to("/usr/share/doc")  # no package, nobody's business
    recipes = recipe_tree.loaded(tmp_path)
    assert [recipe.name for recipe in recipes.recipes] == ["app"]
    (problem,) = recipes.problems
    assert (Path(problem.file).name, problem.message) == ("other", "links out of the tree")


def test_a_name_over_two_lines_stays_on_one(tmp_path: Path) -> None:
    recipe_tree.write(tmp_path, name="a\nb")
    problems = recipe_tree.loaded(tmp_path).problems
    assert "package's name is 'a\\nb'" in messages(problems)
    assert "\n" not in "".join(str(problem) for problem in problems)


def test_folders_without_end(tmp_path: Path) -> None:
    folder = recipe_tree.write(tmp_path)
    deep = folder / "share"
    for _ in range(70):
        deep /= "d"
    deep.mkdir(parents=True)
    assert "60 folders deep" in messages(recipe_tree.loaded(tmp_path).problems)


def test_links_that_multiply_each_other(tmp_path: Path) -> None:
    folder = recipe_tree.write(tmp_path)
    for number in range(25):
        (folder / f"d{number}").mkdir()
        for name in "abc":
            (folder / f"d{number}" / name).symlink_to(f"../d{number + 1}")
    (folder / "d25").mkdir()
    assert "links reach more than" in messages(recipe_tree.loaded(tmp_path).problems)


def test_sockets_and_pipes_do_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = recipe_tree.write(tmp_path)
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert [Path(problem.file).name for problem in recipe_tree.loaded(tmp_path).problems] == ["pipe", "socket"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(tmp_path: Path) -> None:
    folder = recipe_tree.write(tmp_path)
    (folder / "install.sh").chmod(0)
    assert "cannot be read" in messages(recipe_tree.loaded(tmp_path).problems)


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    folder = recipe_tree.write(tmp_path)
    (folder / os.fsdecode(b"bad\xff")).write_text("x")
    text = messages(recipe_tree.loaded(tmp_path).problems)
    assert "not UTF-8" in text
    assert text.encode()


def test_a_huge_file_is_hashed_and_not_parsed(tmp_path: Path) -> None:
    folder = recipe_tree.write(tmp_path)
    (folder / "data").write_bytes(b"x" * 3_000_000)
    before = recipe_tree.loaded(tmp_path)
    assert before.problems == ()
    (folder / "data").write_bytes(b"x" * 2_999_999 + b"y")
    assert recipe_tree.loaded(tmp_path).recipes[0].digest != before.recipes[0].digest
    (folder / P).write_text(GOOD + " " * 2_000_000)
    assert "too large" in messages(recipe_tree.loaded(tmp_path).problems)


def test_values_that_grow_without_bounds_end(tmp_path: Path) -> None:
    grown = {f"v{number}": f"{{{{user `v{number - 1}`}}}}" * 10 for number in range(1, 30)}
    problems = recipe_tree.spoilt(tmp_path, {P: variables(v0="x" * 10, **grown)})
    assert "grows to" in messages(problems)
    looped = (
        build("  _COMPILER: gcc@12", "  _COMPILER: $_COMPILER$_COMPILER") + "options: {dynamicSubstitutions: true}\n"
    )
    assert "refers to itself" in messages(recipe_tree.spoilt(tmp_path / "b", {B: looped}))


def test_windows_line_ends_are_fine(tmp_path: Path) -> None:
    written = {path: text for path, text in recipe_tree.files().items() if path != "test/run.sh"}  # Slurm refuses it
    changed = {path: text.replace("\n", "\r\n") for path, text in written.items()}
    recipe_tree.recipe(tmp_path, changed)


def test_the_tfvars_cluster(tmp_path: Path) -> None:
    recipe = recipe_tree.recipe(
        tmp_path, {T: PARTITIONS.replace("zone =", f"max_node_count = 7, enable_placement = true, {C2}, zone =")}
    )
    assert recipe.suite is not None
    (partition,) = recipe.suite.cluster.partitions
    assert (recipe.suite.cluster.login_nodes, partition.nodes, partition.compact_placement) == (0, 7, True)
    assert partition.zone == ""


def test_tfvars_are_converted_as_terraform_converts_them(tmp_path: Path) -> None:
    values = 'max_node_count = "7", enable_placement = "true", machine_type = "a$${b}", zone ='
    text = PARTITIONS.replace("zone =", values).replace('"debug"', "3")
    suite_text = suite("partition: debug", 'partition: "3"').replace("--nodes=1", "--nodes=2-9")
    found = recipe_tree.recipe(tmp_path, {T: text, F: suite_text}).suite
    assert found is not None
    (partition,) = found.cluster.partitions
    assert (partition.name, partition.nodes, partition.compact_placement) == ("3", 7, True)
    assert partition.machine_type == "a${b}"


def test_the_cases_begin_from_a_right_package(tmp_path: Path) -> None:
    recipe_tree.recipe(tmp_path, {R: MATRIX, T: PARTITIONS})
    assert json.loads(GOOD) == recipe_tree.template()


def test_an_undeclared_variable_is_said_once_and_not_for_builders_that_are_not_baked(tmp_path: Path) -> None:
    amazon = {"type": "amazon-ebs", "ami_name": "{{user `theirs`}}"}
    own = {**recipe_tree.template()["builders"][0], "image_labels": {"a": "{{user `ours`}}", "b": "{{user `ours`}}"}}
    problems = recipe_tree.spoilt(tmp_path, {P: recipe_tree.edited(builders=[amazon, own])})
    assert messages(problems).count("undeclared variable") == 1
    assert "{{user `ours`}}" in messages(problems)


@pytest.mark.parametrize("where", ["dir: packages/app", "entrypoint: sh"])
@pytest.mark.parametrize(("path", "wrong"), [("{{template_dir}}/install.sh", False), ("packages/app/install.sh", True)])
def test_packer_in_another_folder_finds_what_begins_at_the_template(
    tmp_path: Path, where: str, path: str, wrong: bool
) -> None:
    words = '["-c", "cd packages/app && packer build packer.json"]' if "sh" in where else '["build", "packer.json"]'
    build_text = f"steps:\n- name: hashicorp/packer\n  {where}\n  args: {words}\n"
    steps = [{"type": "shell", "script": path}]
    problems = recipe_tree.spoilt(tmp_path, {P: recipe_tree.edited(provisioners=steps), B: build_text})
    found = [problem for problem in problems if "Packer runs in 'packages/app'" in problem.message]
    assert [(problem.severity, Path(problem.file).name) for problem in found] == [(ERROR, B)] * wrong


FROM_FOLDER = [  # the step's folder, Packer's argument, and a path from there
    ("packages/app", "packer.json", "install.sh", "{{template_dir}}/install.sh"),
    ("/workspace/packages/app/", "./packer.json", "./install.sh", "{{template_dir}}/./install.sh"),
    ("packages", "app/packer.json", "app/install.sh", "{{template_dir}}/../app/install.sh"),
    ("${_PKG}", "packer.json", "../../common/etc/sysctl.conf", "{{template_dir}}/../../common/etc/sysctl.conf"),
]


@pytest.mark.parametrize(("folder", "argument", "path", "named"), FROM_FOLDER)
def test_a_step_in_a_folder_names_files_from_there(
    tmp_path: Path, folder: str, argument: str, path: str, named: str
) -> None:
    build_text = f"steps:\n- name: hashicorp/packer\n  dir: {folder}\n  args: [build, {argument}]\n"
    build_text += "substitutions: {_PKG: packages/app}\n"
    steps = [{"type": "shell", "script": path}, {"type": "shell", "inline": ["true"]}]
    changes = {P: recipe_tree.edited(provisioners=steps), B: build_text}
    recipe_tree.write(tmp_path, changes)
    loaded = recipe_tree.loaded(tmp_path)
    assert [str(one) for one in loaded.problems if one.severity == ERROR] == []
    (found,) = loaded.recipes
    assert [one.get("script") for one in found.template["provisioners"]] == [named, None]


def test_in_a_folder_only_what_is_there_begins_there(tmp_path: Path) -> None:
    build_text = "steps:\n- name: hashicorp/packer\n  dir: packages/app\n  args: [build, packer.json]\n"
    steps = [{"type": "shell", "script": "none.sh"}]
    problems = recipe_tree.spoilt(tmp_path, {P: recipe_tree.edited(provisioners=steps), B: build_text})
    assert "Packer runs in 'packages/app' and does not find 'none.sh' there" in messages(problems)
