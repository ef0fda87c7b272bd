"""Settings are parsed once, and what is wrong with them is said all at once."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from bakery.errors import InputError
from bakery.settings import (
    GROUPS,
    KEYS,
    Accelerator,
    Isolation,
    LayerSettings,
    OvenKind,
    Settings,
    SnapshotSettings,
    from_file,
    from_mapping,
    from_pulumi,
    parse,
)
from bakery.settings.copies import Copies
from bakery.settings.retention import Retention
from bakery.settings.rollout import Rollout
from bakery.settings.stacks import plain
from tests.support import root as support
from tests.support.every import every

ROOT = Path("/checkout")
ROLLOUT = {"*-stable": Rollout(24), "a-slow": Rollout(24, ("a-gpu",))}


def messages(values: dict[str, Any], stack: str = "dev") -> list[str]:
    with pytest.raises(InputError) as caught:
        parse(values, stack, ROOT)
    return [str(problem) for problem in caught.value.problems]


def test_nothing_set_is_the_local_oven_in_the_checkout() -> None:
    settings = parse({}, "dev", ROOT)
    assert settings == Settings(
        stack="dev",
        root=ROOT,
        oven=OvenKind.LOCAL,
        packages=ROOT / "packages",
        common=ROOT / "common",
        state=ROOT / ".bakery",
        lock=ROOT / "bakery.lock",
    )


def test_every_group_is_read() -> None:
    settings = parse(
        {
            "oven": "cloud-build",
            "select": ["a", "b"],
            "nonce": {"a": 3},
            "pins": {"a": "a-123456789012", "b": None},
            "approval": ["a*"],
            "approved": {"a": "a-1"},
            "channels": {"stable": ["a*"]},
            "rollout": {"*-stable": 24, "a-slow": {"first": ["a-gpu"]}},
            "retentionDays": 7,
            "local": {
                "accelerator": "tcg",
                "isolation": "machine",
                "cores": 1,
                "memoryMb": 1024,
                "diskGb": 5,
                "slots": 3,
                "keepFailed": True,
            },
            "spack": {
                "source": "s",
                "ref": "v1",
                "packagesSource": "p",
                "packagesRef": "v2",
                "cache": "c",
                "mirror": "m",
            },
            "google": {
                "project": "p",
                "region": "r",
                "zones": ["r-b"],
                "buckets": {"logs": "my-logs"},
                "consumers": ["123456"],
            },
        },
        "gcp",
        ROOT,
    )
    assert settings.select == ("a", "b")
    assert settings.nonce == {"a": "3"}
    assert settings.pins == {"a": "a-123456789012"}
    assert (settings.approval, settings.approved) == (("a*",), {"a": "a-1"})
    assert (settings.channels, settings.rollout) == ({"stable": ("a*",)}, ROLLOUT)
    assert settings.retention["*"].days == 7
    assert settings.local.accelerator is Accelerator.TCG
    assert settings.local.isolation is Isolation.MACHINE
    assert (settings.local.cores, settings.local.memory_mb, settings.local.disk_gb, settings.local.slots) == (
        1,
        1024,
        5,
        3,
    )
    assert settings.local.keep_failed
    assert (settings.spack.source, settings.spack.packages_ref, settings.spack.mirror) == ("s", "v2", "m")
    assert (settings.google.zones, settings.google.buckets, settings.google.consumers) == (
        ("r-b",),
        {"logs": "my-logs"},
        ("123456",),
    )


GOOGLE = {"project": "p", "region": "us-central1"}


def test_copies_are_read_by_project() -> None:
    rules = {"other": None, "example.com:more": {"families": ["a*"], "storageLocation": "eu"}}
    google = parse({"oven": "cloud-build", "google": {**GOOGLE, "copies": rules}}, "gcp", ROOT).google
    assert google.copies == {"other": Copies(), "example.com:more": Copies(("a*",), "eu")}
    assert (google.of_copies("other").stored_in(), google.of_copies("example.com:more").stored_in()) == (
        "us-central1",
        "eu",
    )


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ({"p": {}}, "google.copies.p is google.project; name another project"),
        ({"NO": {}}, "google.copies.NO is not a project"),
        ({"q": {"families": []}}, "google.copies.q.families is []; write a list of 1 or more strings"),
        ({"q": {"storageLocation": "Europe"}}, "google.copies.q.storageLocation is 'Europe'"),
        ({"q": {"kmsKey": "k"}}, "google.copies.q.kmsKey is 'k'"),
        ({"q": {"family": ["a"]}}, "unknown key 'image-bakery:google.copies.q.family'; did you mean 'families'?"),
        (["q"], "google.copies is ['q']; write a mapping"),
    ],
)
def test_wrong_copies_are_problems(rules: object, why: str) -> None:
    (message,) = messages({"oven": "cloud-build", "google": {**GOOGLE, "copies": rules}})
    assert why in message


@pytest.mark.parametrize("oven", ["local", "fake"])
def test_copies_need_images_that_are_in_a_project(oven: str) -> None:
    (message,) = messages({"oven": oven, "google": {"copies": {"q": {}}}})
    assert f"google.copies has no effect: with oven {oven} images are in no project" in message


def test_every_problem_is_reported_at_once() -> None:
    found = messages(
        {
            "oven": "microwave",
            "retentionDays": -1,
            "select": "a, b",
            "retantion": 4,
            "local": {"cores": 0, "keepFailed": "perhaps", "acelerator": "kvm"},
            "google": {"zones": "eu"},
        }
    )
    wanted = (
        "oven is 'microwave'",
        "retentionDays is -1",
        "select is",
        "unknown key 'image-bakery:retantion'",
        "local.cores is 0",
    )
    for part in (
        *wanted,
        "local.keepFailed is 'perhaps'",
        "unknown key 'image-bakery:local.acelerator'; did you mean 'accelerator'?",
        "google.zones is 'eu'",
    ):
        assert sum(part in message for message in found) == 1, (part, found)
    assert len(found) == 8


@pytest.mark.parametrize("given", [[], "[]"])
def test_an_empty_select_is_refused(given: object) -> None:
    """It would not mean "nothing", which would give up all families, and must not mean "all"."""
    (message,) = messages({"select": given})
    assert message.startswith("Pulumi.dev.yaml:1: error: image-bakery:select is ")
    assert message.endswith("; write a list of 1 or more strings")


def test_a_problem_is_reported_once_however_often_its_value_is_read() -> None:
    assert len(messages({"google": {"consumers": "[1", "accounts": 3}})) == 2


def test_a_problem_names_the_file_the_key_and_what_to_write() -> None:
    assert messages({"oven": "microwave"}) == [
        "Pulumi.dev.yaml:1: error: image-bakery:oven is 'microwave'; write one of local, cloud-build, fake"
    ]


def test_layers_have_a_budget_and_an_age() -> None:
    assert parse({}, "dev", ROOT).local.layers == LayerSettings(10, 7)
    assert parse({"local": {"layers": {"budgetGb": 0, "days": "1"}}}, "dev", ROOT).local.layers == LayerSettings(0, 1)
    found = messages({"local": {"layers": {"budgetGb": -1, "days": 0, "age": 3}}})
    assert [key for key in ("layers.budgetGb is -1", "layers.days is 0", "layers.age'") if key in "".join(found)] == [
        "layers.budgetGb is -1",
        "layers.days is 0",
        "layers.age'",
    ]


def test_boot_snapshots_have_a_budget() -> None:
    assert parse({}, "dev", ROOT).local.boot_snapshots == SnapshotSettings(4)
    off = parse({"local": {"bootSnapshots": {"budgetGb": "0"}}}, "dev", ROOT)
    assert off.local.boot_snapshots == SnapshotSettings(0)
    found = "".join(messages({"local": {"bootSnapshots": {"budgetGb": -1, "days": 3}}}))
    assert "bootSnapshots.budgetGb is -1" in found and "bootSnapshots.days'" in found


def test_an_unknown_key_is_answered_with_the_known_ones() -> None:
    (message,) = messages({"local": {"core": 2}})
    known = "accelerator, bases, bootSnapshots, cores, diskGb, isolation, keepFailed, layers, memoryMb, mirror, slots"
    assert f"known: {known}" in message


@pytest.mark.parametrize("value", [True, "two", [], {}, 1.5, 1.5j, float("inf"), -1, 1_000_001])
def test_a_count_is_a_whole_number(value: Any) -> None:
    (message,) = messages({"retentionDays": value})
    assert "write a whole number, from 0 to 1000000" in message


def test_cloud_build_wants_a_project_and_a_region() -> None:
    found = messages({"oven": "cloud-build"}, "gcp")
    assert len(found) == 2
    assert every("pulumi config set" in message for message in found)


def test_values_may_come_as_json_text_as_the_engine_hands_them_out() -> None:
    plain = {"select": ["a"], "local": {"cores": 1, "keepFailed": True}, "nonce": {"a": "x"}, "retentionDays": 3}
    as_text = {key: json.dumps(value) for key, value in plain.items()}
    assert parse(as_text, "dev", ROOT) == parse(plain, "dev", ROOT)


def test_paths_start_at_the_checkout_and_may_be_elsewhere() -> None:
    settings = parse({"packages": "../apps", "common": "/srv/common"}, "dev", ROOT)
    assert settings.packages == Path("/apps")
    assert settings.common == Path("/srv/common")


def test_null_means_the_default() -> None:
    assert parse({"oven": None, "local": {"cores": None}}, "dev", ROOT) == parse({}, "dev", ROOT)


def write(folder: Path, text: str) -> Path:
    (folder / "Pulumi.dev.yaml").write_text(text, errors="surrogateescape")
    return folder


def test_a_stacks_file_is_read_without_an_engine(tmp_path: Path) -> None:
    text = "encryptionsalt: v1:x\nconfig:\n  gcp:project: other\n"
    text += "  image-bakery:oven: fake\n  image-bakery:select: [a]\n"
    settings = from_file(write(tmp_path, text), "dev")
    assert (settings.oven, settings.select, settings.stack) == (OvenKind.FAKE, ("a",), "dev")


def test_no_file_is_all_defaults(tmp_path: Path) -> None:
    assert from_file(tmp_path, "dev") == parse({}, "dev", tmp_path)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("config:\n  a: [1\n", 3, "invalid YAML"),
        ("config: 3\n", 1, "no mapping below config"),
        ("- 1\n", 1, "no mapping"),
        ("config:\n  a: \udce9\n", 1, "invalid YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        from_file(write(tmp_path, text), "dev")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("Pulumi.dev.yaml", line)
    assert message in problem.message


def test_an_unknown_key_of_the_program_is_an_error_and_that_of_another_provider_is_not(tmp_path: Path) -> None:
    config = Config({"select": '["a"]', "selct": '["b"]'})
    with pytest.raises(InputError, match="unknown key 'image-bakery:selct'; did you mean 'select'"):
        from_pulumi(config, "dev", tmp_path, ["image-bakery:selct", "image-bakery:select"])  # type: ignore[arg-type]
    from_pulumi(config, "dev", tmp_path, ["image-bakery:select", "gcp:selct"])  # type: ignore[arg-type]


def test_an_empty_text_is_not_set_as_the_engine_passes_a_key_without_a_value(tmp_path: Path) -> None:
    engine = from_pulumi(Config({"state": "", "retentionDays": ""}), "dev", tmp_path)  # type: ignore[arg-type]
    assert engine == parse({}, "dev", tmp_path)
    assert from_file(write(tmp_path, "config: {image-bakery:state: , retentionDays: }\n"), "dev") == engine


def test_the_committed_stacks_parse() -> None:
    root = support.ROOT
    assert from_file(root, "dev").oven is OvenKind.LOCAL


class Config:
    """pulumi.Config as far as settings use it."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def get(self, key: str) -> str | None:
        return self.values.get(key)


def test_program_and_command_line_read_the_same(tmp_path: Path) -> None:
    values = {
        "oven": "fake",
        "select": '["a"]',
        "local": '{"cores":1}',
        "fake": '{"seconds":0.1}',
        "retentionDays": "3",
    }
    from_engine = from_pulumi(Config(values), "dev", tmp_path)  # type: ignore[arg-type]
    assert from_engine == parse(values, "dev", tmp_path)
    assert from_engine.local.cores == 1


def test_the_engine_is_asked_for_every_setting() -> None:
    (message,) = messages({"nonsense": 1})
    known = message.partition("known: ")[2].split(", ")
    assert sorted(known) == sorted((*KEYS, *GROUPS))


def test_paths_of_spack_are_given_in_full_and_addresses_as_they_are(tmp_path: Path) -> None:
    spack = parse({"spack": {"source": "./spack", "cache": "../c", "mirror": "gs://m"}}, "dev", tmp_path / "here").spack
    assert spack.source == f"{tmp_path}/here/spack"
    assert (spack.cache, spack.mirror) == (f"{tmp_path}/c", "gs://m")


def test_what_cannot_be_right_of_google_is_told_with_what_to_write() -> None:
    given = {
        "project": "My Project",
        "region": "us_central1",
        "kmsKey": "k",
        "repository": "https://example.com/a/b",
        "subnetwork": "default",
        "table": "app_runs",
        "topic": "projects/p/topics/t",
        "registry": "us-docker.pkg.dev/p/r",
        "buckets": {"logz": "b-1", "logs": "gs://my-logs"},
        "zones": ["us-central1-a", "b"],
        "accounts": {"bake": "somebody", "nobody": "x@p.iam.gserviceaccount.com"},
        "consumers": ["their-project", "allUsers", "somebody@example.com"],
        "takers": ["allUsers"],
    }
    found = messages({"oven": "cloud-build", "google": given})
    wrong = ("project", "region", "kmsKey", "repository", "subnetwork", "table", "topic", "registry", "buckets.logz")
    for key in (*wrong, "buckets.logs", "accounts.bake", "accounts.nobody"):
        assert any(
            f"google.{key} is" in text or f"unknown key 'image-bakery:google.{key}'" in text for text in found
        ), key
    assert sum("google.consumers has" in text for text in found) == 3
    assert sum("google.takers has" in text for text in found) == 1
    assert sum("google.zones has" in text for text in found) == 2
    assert len(found) == len(wrong) + 9


def test_zones_are_those_of_the_region_or_of_the_subnetwork_that_is_given() -> None:
    google = {"project": "p", "region": "us-central1", "zones": ["us-east1-b"]}
    (message,) = messages({"oven": "cloud-build", "google": google})
    assert message.endswith("has 'us-east1-b'; write zones of us-central1, where the machines' subnetwork is")
    subnetwork = "projects/p/regions/us-east1/subnetworks/s"
    for right in ({"zones": ["us-central1-ai1a"]}, {"subnetwork": subnetwork}):
        parse({"oven": "cloud-build", "google": google | right}, "gcp", ROOT)


def test_a_setting_that_is_wrong_is_told_once() -> None:
    assert len(messages({"google": {"consumers": "eu", "buckets": "x", "accounts": 3}})) == 3


def test_consumers_are_what_an_iam_policy_takes() -> None:
    given = ["123456789012", "group:hpc@example.com", "ci@their-project.iam.gserviceaccount.com"]
    google = {"project": "p", "region": "us-central1", "consumers": given}
    assert parse({"oven": "cloud-build", "google": google}, "gcp", ROOT).google.consumer_members == (
        "group:hpc@example.com",
        "principalSet://cloudresourcemanager.googleapis.com/projects/123456789012/type/ServiceAccount",
        "serviceAccount:ci@their-project.iam.gserviceaccount.com",
    )


def test_retention_is_read_by_family_with_the_rule_of_all_as_default() -> None:
    given = {
        "retentionDays": 60,
        "retention": {
            "*": {"keep": 2},
            "rcc": {"days": 7, "labels": {"release": 1}, "obsoleteOn": "2030-06-30"},
            "hpcc": {"obsoleteOn": "2030-06-30T12:00:00+02:00", "keep": "0"},
        },
    }
    assert parse(given, "dev", ROOT).retention == {
        "*": Retention(60, keep=2),
        "rcc": Retention(7, keep=2, labels={"release": "1"}, obsolete_on="2030-06-30T00:00:00Z"),
        "hpcc": Retention(60, keep=0, obsolete_on="2030-06-30T10:00:00Z"),
    }


@pytest.mark.parametrize("given", [{"a": 1_000_001}, {"a": {"hours": 1_000_001}}])
def test_a_roll_out_of_a_hundred_years_is_the_longest(given: object) -> None:
    """The calendar has an end."""
    (message,) = messages({"rollout": given})
    assert "is 1000001; write a whole number, from 0 to 1000000" in message


def test_a_fixed_date_may_be_long_ago_but_not_before_the_calendar() -> None:
    given = {"retention": {"rcc": {"obsoleteOn": "0500-01-01"}}}
    assert parse(given, "dev", ROOT).retention["rcc"].obsolete_on == "0500-01-01T00:00:00Z"
    (message,) = messages({"retention": {"rcc": {"obsoleteOn": "0001-01-01T00:00:00+14:00"}}})
    assert "obsoleteOn is '0001-01-01T00:00:00+14:00'; write a date" in message


def test_every_mistake_of_retention_is_told() -> None:
    found = messages({"retention": {"rcc": {"days": -1, "kep": 2, "obsoleteOn": "soon"}, "hpcc": 5}})
    assert [message.partition("error: ")[2] for message in found] == [
        "image-bakery:retention.hpcc is 5; write a mapping",
        "image-bakery:retention.rcc.days is -1; write a whole number, from 0 to 1000000",
        "image-bakery:retention.rcc.obsoleteOn is 'soon'; write a date as '2030-01-31', or a time",
        "unknown key 'image-bakery:retention.rcc.kep'; did you mean 'keep'? known: days, keep, labels, obsoleteOn",
    ]


def test_a_cluster_has_a_version_and_families() -> None:
    given = {"slurm": "24.05.3", "controller": "head", "login": "login", "partitions": ["gpu*", "cpu"]}
    cluster = parse({"cluster": given}, "dev", ROOT).cluster
    assert cluster[:4] == ("24.05.3", "head", "login", ("gpu*", "cpu"))
    assert [cluster.has_partitions(family) for family in ("gpu-a", "head")] == [True, False]
    assert parse({"cluster": '{"slurm": 24.05}'}, "dev", ROOT).cluster.slurm == "24.05", "as the engine passes it"
    assert parse({}, "dev", ROOT).cluster.has_partitions("any")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"slurm": "slurm 24.05"}, "cluster.slurm is 'slurm 24.05'; write what slurmctld -V prints"),
        ({"slurm": 24.5}, "cluster.slurm is '24.5'"),
        ({"partitions": []}, "cluster.partitions is []; write a list of 1 or more strings"),
        ({"partition": ["a"]}, "unknown key 'image-bakery:cluster.partition'; did you mean 'partitions'?"),
    ],
)
def test_a_wrong_cluster_is_a_problem(given: object, why: str) -> None:
    (message,) = messages({"cluster": given})
    assert why in message


def passed(values: dict[str, Any], root: Path, *secret: str) -> Settings:
    place = (Path("/site/__main__.py"), 12)
    return from_mapping(plain(values, place), "dev", root, place, secret)


def test_settings_that_one_key_of_another_namespace_makes_those_of_the_program_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: images\n")
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text("config:\n  images:oven: fake\n  images:local: {cores: 1}\n  image-bakery:nonce: {app: again}\n")
    assert [str(one) for one in from_file(tmp_path, "dev").warnings] == [
        f"Pulumi.dev.yaml:{line}: warning: images:{key}: is not read, as another setting begins with image-bakery:; "
        "begin all of them with the same word"
        for line, key in ((3, "local"), (2, "oven"))
    ]
    file.write_text("config:\n  images:state: ours\n  images:site: x\n  image-bakery:oven: fake\n")
    assert from_file(tmp_path, "dev").warnings == (), "a program has settings of its own"
    file.write_text("config:\n  images:oven: fake\n  gcp:project: p\n")
    assert from_file(tmp_path, "dev").warnings == ()


def test_settings_of_a_program_are_those_of_a_file(tmp_path: Path) -> None:
    values = {"oven": "fake", "select": ("a",), "local": {"cores": 1}, "state": Path("s"), "retentionDays": 3}
    made = passed(values, tmp_path)
    assert made == parse({**values, "select": ["a"], "state": "s"}, "dev", tmp_path)
    assert made.file == "__main__.py"


def test_problems_of_a_programs_settings_have_the_line_that_passes_them(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        passed({"oven": "cloud-build", "google": {"region": "r"}, "lokal": {}}, tmp_path)
    assert [str(problem) for problem in caught.value.problems] == [
        "__main__.py:12: error: settings:google.project is missing; add google.project",
        f"__main__.py:12: error: unknown key 'settings:lokal'; did you mean 'local'? known: "
        f"{', '.join(sorted((*KEYS, *GROUPS)))}",
    ]
    with pytest.raises(InputError) as caught:
        passed({"state": object(), "local": {"bases": [1, {b"x"}]}, "oven": b"fake"}, tmp_path)
    assert [problem.message for problem in caught.value.problems] == [
        "settings:local.bases[1] is of the type set",
        "settings:oven is of the type bytes",
        "settings:state is of the type object",
    ]


@pytest.mark.parametrize("values", ["dev", ["oven"], ()])
def test_settings_of_a_program_are_a_mapping(values: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"__main__.py:12: error: settings is .*; pass a mapping"):
        passed(values, tmp_path)
    read_only = MappingProxyType({"oven": "fake", "local": MappingProxyType({"cores": 1})})
    assert passed(read_only, tmp_path) == passed({"oven": "fake", "local": {"cores": 1}}, tmp_path)


@pytest.mark.parametrize("path", ["~no-such-user/x", "a\0b"])
def test_paths_that_cannot_be_are_all_named(path: str) -> None:
    values = {"packages": path, "spack": {"source": f"./{path}"}, "cluster": {"slurmConf": path}}
    named = {message.split()[2] for message in messages(values)}
    assert named >= {"image-bakery:packages", "image-bakery:cluster.slurmConf"}


def test_a_secret_in_a_programs_settings_is_hidden(tmp_path: Path) -> None:
    made = passed({"spack": {"source": "https://user:t0ken@s"}, "state": "t0"}, tmp_path, "t0ken")
    assert made.secrets == {"spack.source": "https://user:t0ken@s"}
