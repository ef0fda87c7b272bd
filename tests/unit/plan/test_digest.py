"""One named test for each rule of the digest: what matters, and what does not."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.codec import decode, encode
from bakery.lock.model import Lock, LockedBase, Place
from bakery.orders.model import BakeOrder, bake_order
from bakery.plan.digest import Material, based, canonical, content, digest, manifest, sha256
from bakery.plan.expand import spack_variables
from bakery.plan.model import ImagePlan
from bakery.plan.plan import draft, make
from bakery.plan.summary import Base
from bakery.recipe.model import Recipe, SourceFile, SuiteJob, Variant
from tests.support.every import every
from tests.support.plan_builders import BASE, LOCK, build, file, recipe, recipes, settings

PLAIN = recipe()


def image(given: Recipe = PLAIN, lock: Lock = LOCK, revision: str = "", **values: Any) -> ImagePlan:
    (found,) = make(settings(**values), recipes(given), lock, revision).images
    return found


def same(given: Recipe, **values: Any) -> bool:
    return image(given, **values).digest == image().digest


def with_file(path: str, /, **changes: Any) -> Recipe:
    """The plain recipe with one of its files changed."""
    files = tuple(replace(entry, **changes) if entry.path == path else entry for entry in PLAIN.files)
    assert files != PLAIN.files or changes.keys() == {"source"}
    return replace(PLAIN, files=files)


def with_builder(**options: Any) -> Recipe:
    changed = copy.deepcopy(PLAIN.template)
    changed["builders"][0].update(options)
    return replace(PLAIN, template=changed)


# -- what matters


def test_content_matters() -> None:
    assert not same(with_file("packages/app/install.sh", sha256="0" * 64))


def test_mode_matters() -> None:
    assert not same(with_file("packages/app/install.sh", mode=0o644))


def test_rename_matters() -> None:
    assert not same(with_file("packages/app/share/motd", path="packages/app/share/issue"))


def test_a_new_file_in_a_folder_that_reaches_the_image_matters() -> None:
    assert not same(replace(PLAIN, files=(*PLAIN.files, file("packages/app/share/new"))))


def test_a_file_that_goes_matters() -> None:
    assert not same(replace(PLAIN, files=tuple(entry for entry in PLAIN.files if "motd" not in entry.path)))


def test_swapped_contents_matter() -> None:
    one, two = file("packages/app/share/a", "x"), file("packages/app/share/b", "y")
    swapped = replace(one, sha256=two.sha256), replace(two, sha256=one.sha256)
    first = image(replace(PLAIN, files=(*PLAIN.files, one, two)))
    assert first.digest != image(replace(PLAIN, files=(*PLAIN.files, *swapped))).digest


def test_a_common_file_that_is_used_matters() -> None:
    using = copy.deepcopy(PLAIN.template)
    using["provisioners"].append({"type": "shell", "script": "common/spack-install.sh"})
    first = replace(PLAIN, template=using)
    other = replace(first, common=(file("common/spack-install.sh", "changed", 0o755),))
    assert image(first).digest != image(other).digest


@pytest.mark.parametrize(
    "option",
    [{"startup_script_file": "packages/app/README.md"}, {"metadata_files": {"key": "packages/app/README.md"}}],
    ids=str,
)
def test_a_file_that_the_builder_hands_to_the_machine_matters(option: dict[str, object]) -> None:
    using = with_builder(**option)
    other = replace(using, files=tuple(replace(entry, sha256="1" * 64) for entry in using.files))
    assert "packages/app/README.md" in image(using).inputs
    assert image(using).digest != image(other).digest


def test_a_provisioner_matters() -> None:
    changed = copy.deepcopy(PLAIN.template)
    changed["provisioners"].append({"type": "shell", "inline": ["true"]})
    assert not same(replace(PLAIN, template=changed))


def test_the_order_of_provisioners_matters() -> None:
    changed = copy.deepcopy(PLAIN.template)
    changed["provisioners"].reverse()
    assert not same(replace(PLAIN, template=changed))


def test_compiler_matters() -> None:
    assert not same(recipe(substitutions={"_COMPILER": "intel"}))


def test_disk_size_matters() -> None:
    assert not same(with_builder(disk_size=30))


@pytest.mark.parametrize(
    "option",
    [
        "image_architecture",
        "image_guest_os_features",
        "image_licenses",
        "metadata",
        "metadata_files",
        "ssh_username",
        "startup_script_file",
        "wrap_startup_script",
    ],
)
def test_options_that_shape_the_disk_matter(option: str) -> None:
    assert not same(with_builder(**{option: "X86_64" if option == "image_architecture" else ["x"]}))


def test_disk_size_from_a_variable_matters() -> None:
    sized = with_builder(disk_size="{{user `size`}}")
    sized.template["variables"]["size"] = "30"
    larger = copy.deepcopy(sized)
    larger.template["variables"]["size"] = "40"
    assert image(sized).digest != image(larger).digest


def test_parent_digest_matters() -> None:
    parent = recipe("base")
    other = replace(parent, files=tuple(replace(entry, sha256="2" * 64) for entry in parent.files))
    child = recipe("app", "base")
    first = make(settings(), recipes(parent, child), LOCK).images[1]
    second = make(settings(), recipes(other, child), LOCK).images[1]
    assert first.family == second.family == "app"
    assert first.digest != second.digest


def test_base_identity_matters() -> None:
    newer = LOCK.put(Place.LOCAL, "debian-cloud", "debian-12", BASE._replace(identity="inrelease:" + "6" * 64))
    assert not same(PLAIN, lock=newer)


def test_nonce_matters_for_its_package_alone() -> None:
    assert not same(PLAIN, nonce={"app": "again"})
    assert same(PLAIN, nonce={"other": "again"})


def test_spack_matters_where_the_template_declares_it() -> None:
    assert same(PLAIN, spack={"ref": "v1.0.0"})
    using = copy.deepcopy(PLAIN.template)
    using["variables"] |= {"spack_source": "", "spack_ref": ""}
    using["provisioners"][1]["environment_vars"] += ["R={{user `spack_ref`}}", "S={{user `spack_source`}}"]
    given = replace(PLAIN, template=using)
    refs = [{"ref": "v1.0.0"}, {"ref": "v1.0.1"}, {"ref": "v1.0.0", "source": "/srv/spack"}]
    assert len({image(given, spack=spack).digest for spack in refs}) == 3
    assert image(given, spack=refs[0]).variables["spack_ref"] == "v1.0.0"


def test_a_file_that_a_local_provisioner_may_read_matters() -> None:
    changed = copy.deepcopy(PLAIN.template)
    changed["provisioners"].append({"type": "shell-local", "inline": ["cat packages/app/README.md"]})
    assert "packages/app/README.md" in image(replace(PLAIN, template=changed)).inputs


# -- what does not matter


def test_test_file_does_not_matter() -> None:
    changed = with_file("packages/app/test/run.sh", sha256="3" * 64)
    assert same(changed)
    first, second = image().tests, image(changed).tests
    assert first is not None and second is not None
    assert first.digest != second.digest, "but the image is tested again"


def test_readme_does_not_matter() -> None:
    changed = image(with_file("packages/app/README.md", sha256="4" * 64))
    assert changed.digest == image().digest
    assert changed.tests is not None
    assert changed.tests == image().tests


@pytest.mark.parametrize(
    "key", ["inline", "environment_vars", "execute_command", "destination", "remote_folder", "only"]
)
def test_a_file_whose_path_stands_in_a_command_or_is_one_on_the_machine_does_not_matter(key: str) -> None:
    saying = copy.deepcopy(PLAIN.template)
    saying["provisioners"].append({"type": "shell", key: ["packages/app/README.md"]})
    assert "packages/app/README.md" not in image(replace(PLAIN, template=saying)).inputs


def test_a_file_of_the_same_path_that_is_fetched_from_the_machine_does_not_matter() -> None:
    fetching = copy.deepcopy(PLAIN.template)
    entry = {"type": "file", "direction": "download", "source": "{{user `pkg_path`}}/README.md", "destination": "x"}
    fetching["provisioners"].insert(0, entry)
    paths = [one.path for one in image(replace(PLAIN, template=fetching)).files]
    assert paths == ["packages/app/install.sh", "packages/app/share/motd"]


def test_a_common_file_that_is_not_used_does_not_matter() -> None:
    assert same(replace(PLAIN, common=(file("common/etc/sysctl.conf", "changed"),)))


@pytest.mark.parametrize("name", ["_ZONE", "_SUBNETWORK", "_MACHINE_TYPE", "_SOURCE_IMAGE_PROJECT"])
def test_where_it_is_baked_does_not_matter(name: str) -> None:
    lock = LOCK.put(Place.LOCAL, "other", "debian-12", BASE)
    assert same(recipe(substitutions={name: "other"}), lock=lock)


def test_project_does_not_matter_even_when_a_provisioner_is_told() -> None:
    assert "project_id" in json.dumps(PLAIN.template["provisioners"])
    lock = Lock({Place.GOOGLE: LOCK.bases[Place.LOCAL]})
    google = {"oven": "cloud-build", "google": {"project": "one", "region": "us"}}
    other = {"oven": "cloud-build", "google": {"project": "two", "region": "eu"}}
    assert image(PLAIN, lock, **google).digest == image(PLAIN, lock, **other).digest == image().digest
    assert image(PLAIN, lock, **other).variables["project_id"] == "two"


@pytest.mark.parametrize(
    "option",
    [
        *("project_id", "zone", "region", "subnetwork", "network", "network_project_id", "machine_type", "disk_type"),
        *("image_name", "image_description", "instance_name"),
    ],
)
def test_a_variable_for_a_place_or_a_name_does_not_matter_even_when_a_provisioner_is_told(option: str) -> None:
    def told(value: str) -> Recipe:
        made = with_builder(**{option: "{{user `told`}}"})
        made.template["variables"]["told"] = value
        made.template["provisioners"][1]["environment_vars"].append("TOLD={{user `told`}}")
        return made

    assert image(told("one")).digest == image(told("two")).digest


def test_machine_options_of_the_builder_do_not_matter() -> None:
    assert same(with_builder(preemptible=True, disk_type="pd-ssd", tags=["a"], use_iap=True, image_labels={"a": "b"}))


def test_names_do_not_matter() -> None:
    other = recipe(substitutions={"_IMAGE_FAMILY": "other", "_IMAGE_NAME": "x"})
    assert image(other).family == "other"
    assert same(other)


def test_a_name_that_is_told_to_a_provisioner_does_not_matter() -> None:
    told = copy.deepcopy(PLAIN.template)
    told["provisioners"][1]["environment_vars"].append("IMAGE_NAME={{user `source_image_family`}}")
    lock = LOCK.put(Place.LOCAL, "debian-cloud", "debian-12-again", BASE)
    first, second = replace(PLAIN, template=told), replace(recipe("app", "debian-12-again"), template=told)
    assert image(first).digest == image(second, lock).digest


def test_a_variable_inside_of_a_name_still_matters() -> None:
    named = with_builder(image_name="app-{{user `compiler`}}")
    other = replace(named, substitutions={**named.substitutions, "_COMPILER": "intel"})
    assert image(named).digest != image(other).digest


def test_name_of_the_variant_does_not_matter() -> None:
    assert image(replace(PLAIN, variants=(Variant("a"),))).digest == image().digest


def test_source_revision_does_not_matter() -> None:
    other = image(PLAIN, LOCK, "c0ffee" * 6)
    assert other.digest == image().digest
    assert other.labels["bakery-revision"] == "c0ffee" * 6


def test_when_and_under_which_name_the_base_was_locked_does_not_matter() -> None:
    again = LOCK.put(Place.LOCAL, "debian-cloud", "debian-12", LockedBase("other-name", BASE.identity, "2031"))
    assert same(PLAIN, lock=again)


def test_timeout_owners_and_description_do_not_matter() -> None:
    assert same(replace(PLAIN, timeout=99, owners=("me",)))


def test_variables_that_nothing_refers_to_do_not_matter() -> None:
    changed = copy.deepcopy(PLAIN.template)
    changed["variables"]["unused"] = "x"
    assert same(replace(PLAIN, template=changed))


def test_place_of_the_checkout_does_not_matter() -> None:
    moved = replace(
        PLAIN,
        folder=Path("/elsewhere/app"),
        files=tuple(replace(entry, source=Path("/elsewhere") / entry.path) for entry in PLAIN.files),
    )
    assert same(moved)


def test_order_of_keys_and_files_does_not_matter() -> None:
    turned = json.loads(json.dumps(PLAIN.template), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert list(turned) != list(PLAIN.template)
    assert same(replace(PLAIN, template=turned, files=PLAIN.files[::-1]))


def test_cloudbuild_steps_do_not_matter() -> None:
    other = build(**PLAIN.substitutions)
    other["steps"][0]["name"] = "hashicorp/packer:1.9"
    assert same(replace(PLAIN, build=other))


def test_spack_cache_and_mirror_do_not_matter() -> None:
    using = copy.deepcopy(PLAIN.template)
    using["variables"] |= {"spack_cache": "", "spack_cache_key": "", "spack_mirror": ""}
    using["provisioners"][1]["environment_vars"] += ["C={{user `spack_cache`}}", "K={{user `spack_cache_key`}}"]
    using["provisioners"][1]["environment_vars"] += ["M={{user `spack_mirror`}}"]
    given = replace(PLAIN, template=using)
    assert image(given).digest == image(given, spack={"cache": "gs://a", "cacheKey": "/k", "mirror": "/b"}).digest
    assert image(given, spack={"cache": "gs://a"}).variables["spack_cache"] == "gs://a"


def test_mirrors_and_the_proxy_do_not_matter() -> None:
    using = copy.deepcopy(PLAIN.template)
    using["variables"] |= {"spack_mirror": ""}
    using["provisioners"][1]["environment_vars"] += ["M={{user `spack_mirror`}}"]
    given = replace(PLAIN, template=using)
    mirrors = {"apt": {"http://a.example/debian": "http://m.example/d"}, "spack": "https://m.example/spack"}
    behind = image(given, proxy="http://p.example:3128", noProxy=["x.example"], mirrors=mirrors)
    assert behind.digest == image(given).digest
    assert behind.inputs == image(given).inputs
    assert behind.variables["spack_mirror"] == "https://m.example/spack"


def test_on_google_cloud_the_cache_is_the_stacks_own_bucket_unless_one_is_named() -> None:
    cloud = {"oven": "cloud-build", "google": {"project": "p", "region": "us-central1"}}
    assert spack_variables(settings(**cloud))["spack_cache"] == "gs://p-bakery-spack-cache"
    assert spack_variables(settings(**cloud, spack={"cache": "gs://a"}))["spack_cache"] == "gs://a"
    assert "spack_cache" not in spack_variables(settings())


def test_source_of_spack_does_not_matter_when_a_commit_says_which() -> None:
    using = copy.deepcopy(PLAIN.template)
    using["variables"] |= {"spack_source": "", "spack_ref": ""}
    using["provisioners"][1]["environment_vars"] += ["R={{user `spack_ref`}}", "S={{user `spack_source`}}"]
    given = replace(PLAIN, template=using)
    commit = "ab" * 20
    pinned = [image(given, spack={"ref": commit, "source": source}).digest for source in ("/a", "https://b")]
    assert pinned[0] == pinned[1]


def test_template_without_variables_of_a_matrix_takes_a_variants_value() -> None:
    bare = build(**PLAIN.substitutions)
    bare["steps"][0]["args"] = [word for word in bare["steps"][0]["args"] if "COMPILER" not in word]
    one = replace(PLAIN, build=bare, variants=(Variant("a", {"_COMPILER": "clang"}),))
    assert image(one).variables["compiler"] == "clang"
    assert image(one).digest != image(replace(one, variants=(Variant("a"),))).digest


# -- the framing


def test_no_two_lists_of_files_read_alike() -> None:
    one = Material(files=(SourceFile("ab", 0o644, "c", Path()),))
    two = Material(files=(SourceFile("a", 0o644, "bc", Path()),))
    assert content(one) != content(two)
    assert content(Material(variables={"a": "b", "c": "d"})) != content(Material(variables={"a": 'b","c":"d'}))


def test_no_base_and_content_read_like_another_two() -> None:
    assert digest(Base("", "", "ab"), "c") != digest(Base("", "", "a"), "bc")


def test_the_digest_is_the_same_on_every_machine() -> None:
    """Golden values: whoever changes one changes the name of every image there is."""
    material = Material(files=(SourceFile("a", 0o755, "00", Path("/x")),), variables={"ä": "ö"})
    assert canonical({"b": 1, "a": "ä"}) == '{"a":"\\u00e4","b":1}'
    assert content(material) == "21c465aae8c72efe80652490bc8ea847b96c042782402d5ea071a544b89e4a01"
    base = Base("family", "name", "base")
    assert digest(base, content(material)) == "3b9bee144c192e7bab05018610ce6cc791b99e38ddd744f89641ae75f74f7805"


def test_tests_digest_counts_jobs_cluster_and_files() -> None:
    first = image()
    assert first.tests is not None
    job = SuiteJob("app", "bash packages/app/test/run.sh --long", "app")
    assert PLAIN.suite is not None
    second = image(replace(PLAIN, suite=replace(PLAIN.suite, jobs=(job,))))
    assert second.tests is not None
    assert first.tests.digest != second.tests.digest
    assert first.digest == second.digest
    third = image(replace(PLAIN, suite=replace(PLAIN.suite, upgrade=True)))
    assert third.tests is not None
    assert (third.tests.digest != first.tests.digest, third.digest) == (True, first.digest)
    assert (third.tests.suite.upgrade, third.tests.inputs["upgrade test"]) == (True, "asked for")
    assert (
        first.tests.inputs.keys() == second.tests.inputs.keys() == {"job 1 app", "cluster", "packages/app/test/run.sh"}
    )
    assert every(len(shown.split()[0]) == 12 for shown in first.tests.inputs.values())


@pytest.mark.parametrize("word", ["packages/app/share/motd", "'packages/app/share/motd'", "./packages/app/share/"])
def test_a_file_that_a_job_names_belongs_to_what_proves_the_image(word: str) -> None:
    assert PLAIN.suite is not None
    job = SuiteJob("app", f"bash packages/app/test/run.sh {word}", "app")
    found = image(replace(PLAIN, suite=replace(PLAIN.suite, jobs=(job,)))).tests
    assert found is not None
    assert found.inputs.keys() == {"job 1 app", "cluster", "packages/app/share/motd", "packages/app/test/run.sh"}


def test_the_manifest_shows_all_that_counts_in_a_fixed_order() -> None:
    program = SourceFile("b/run.sh", 0o755, "1" * 64, Path("b/run.sh"))
    plain = SourceFile("a/data", 0o644, "2" * 64, Path("a/data"))
    long = "x" * 61
    found = manifest(
        Material((program, plain), [], {"metadata": {}, "disk_size": 20}, {"b": "x" * 60, "a": long}, "again")
    )
    assert list(found.items()) == [
        ("a/data", "2" * 12),
        ("b/run.sh", "1" * 12 + " executable"),
        ("packer.json provisioners", sha256("[]")[:12]),
        ("packer.json disk_size", "20"),
        ("packer.json metadata", "{}"),
        ("variable a", sha256(long)[:12]),
        ("variable b", "x" * 60),
        ("nonce", "again"),
    ]
    assert "nonce" not in manifest(Material())


def test_the_base_image_stands_before_all_else_by_the_beginning_of_its_identity() -> None:
    outside, parent = (
        Base("debian-12", "debian-12-v1", "id:" + "3" * 20, "debian-cloud"),
        Base("rcc", "rcc-1", "4" * 64),
    )
    assert list(based(outside, {"a": "b"}).items()) == [("base debian-12", "id:" + "3" * 12), ("a", "b")]
    assert based(parent, {}) == {"base rcc": "4" * 12}


SECRET = {"licence": {"version": "3", "file": "~/hpl.key"}}


def test_the_version_of_a_secret_matters_and_nothing_else_of_it() -> None:
    with_secret = image(replace(PLAIN, secrets=SECRET))
    assert with_secret.digest != image().digest
    assert with_secret.inputs["secret licence"] == "version 3"
    assert with_secret.secrets == SECRET
    elsewhere = {"licence": {"version": "3", "environment": "HPL", "secretManager": "hpl"}}
    assert image(replace(PLAIN, secrets=elsewhere)).digest == with_secret.digest
    newer = {"licence": {"version": "4", "file": "~/hpl.key"}}
    assert image(replace(PLAIN, secrets=newer)).digest != with_secret.digest
    assert image(replace(PLAIN, secrets={"other": SECRET["licence"]})).digest != with_secret.digest


def test_licence_servers_do_not_matter_and_are_in_the_order() -> None:
    servers = {"27000@licence.example.org": "packages/app/recipe.yaml:3"}
    made = image(replace(PLAIN, licence_servers=servers))
    assert (made.digest, made.inputs) == (image().digest, image().inputs)
    order = bake_order(made)
    assert decode(BakeOrder, json.loads(json.dumps(encode(order)))) == order
    assert order.licence_servers == servers


def test_a_recipe_without_secrets_has_the_digest_that_it_always_had() -> None:
    assert content(Material()) == content(Material(secrets={}))
    assert "secret" not in canonical(vars(image()).get("inputs"))


@pytest.mark.parametrize(
    ("values", "secret", "fault"),
    [
        ({}, {"secretManager": "hpl"}, "the stack dev has no source of the secret licence; add file or environment"),
        ({}, {"environment": "HPL"}, ""),
        (
            {"oven": "cloud-build"},
            {"file": "x"},
            "the stack dev has no source of the secret licence; add secret",
        ),
        ({"oven": "cloud-build"}, {"secretManager": "hpl"}, ""),
        ({"oven": "fake"}, {"secretManager": "hpl"}, ""),
    ],
)
def test_a_secret_that_the_oven_cannot_get_is_a_problem_of_the_plan(
    values: dict[str, Any], secret: dict[str, str], fault: str
) -> None:
    if "oven" in values:
        values = {**values, "google": {"project": "p", "region": "us-central1"}}
    stack = settings(**values)
    given = recipes(replace(PLAIN, secrets={"licence": {"version": "3", **secret}}))
    bases = Lock({stack.bases: LOCK.bases[Place.LOCAL]})
    problems = [str(problem) for problem in draft(stack, given, bases).problems]
    assert [problem for problem in problems if "secret" in problem] == [problem for problem in problems if fault]
    assert len(problems) == bool(fault)
    assert fault in "".join(problems)
