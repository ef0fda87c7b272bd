"""What may stand in tracked files: nothing of one machine, valid schemas, locked dependencies, documented settings."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator, validators
from packaging.requirements import Requirement

from bakery.ovens.cloud_build.request import PLUGIN_VERSION
from bakery.settings import GROUPS, KEYS, GoogleSettings, LimitSettings, LocalSettings, Mirrors, SpackSettings
from bakery.settings.cluster import ClusterSettings
from tests.support import source_tree

# Written in pieces, so that this file passes its own test.
REGISTRIES = ["deb.debian" + ".org", "security.debian" + ".org", "pypi" + ".org", "pythonhosted" + ".org"]
REGISTRIES += ["proxy.golang" + ".org", "static.crates" + ".io", "registry.npmjs" + ".org", "repo1.maven" + ".org"]
FOREIGN = re.compile("|".join(map(re.escape, REGISTRIES)))
MACHINE_PATH = re.compile(r"(?<![\w.}/-])/" + r"work/(main|shared|\.)")


def test_no_registry_is_named() -> None:
    found = [
        f"{path}: {match[0]}" for path in source_tree.tracked() for match in FOREIGN.finditer(source_tree.text(path))
    ]
    assert found == []


def test_no_path_of_one_machine_is_named() -> None:
    own = str(source_tree.ROOT) if len(source_tree.ROOT.parts) > 2 else None
    wrong = [str(path) for path in source_tree.tracked() if MACHINE_PATH.search(source_tree.text(path))]
    # The recordings of tests/compatibility name the checkout where they were made; test_fixtures.py allows only it.
    others = [path for path in source_tree.tracked() if path.parts[:2] != ("tests", "compatibility")]
    wrong += [str(path) for path in others if own and own in source_tree.text(path)]
    assert wrong == []


def test_the_work_trees_own_files_are_not_tracked() -> None:
    private = {".venv", ".bakery", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
    assert [str(path) for path in source_tree.tracked() if private & set(path.parts)] == []


def test_no_salt_of_a_passphrase_is_committed() -> None:
    files = [path for path in source_tree.tracked() if path.name.startswith("Pulumi.")]
    assert len(files) > 1
    for path in files:
        listed = source_tree.subprocess.run(
            ["git", "show", f":{path}"], cwd=source_tree.ROOT, capture_output=True, text=True, check=True
        )
        assert "encryptionsalt" not in listed.stdout, path


def schemas() -> list[Path]:
    return [path for path in source_tree.tracked() if path.suffix == ".json" and "schema" in str(path)]


def test_there_are_published_schemas() -> None:
    assert len(schemas()) >= 3, "plan, library and recipe each publish one"


@pytest.mark.parametrize("path", schemas(), ids=str)
def test_a_schema_is_valid_and_says_what_it_is(path: Path) -> None:
    schema = json.loads(source_tree.text(path))
    validators.validator_for(schema, default=Draft202012Validator).check_schema(schema)
    assert schema.get("$schema")
    assert schema.get("title") or schema.get("description")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str = "requirements.lock") -> dict[str, str]:
    return {normal(n): v for n, v in re.findall(r"(?m)^([\w.-]+)(?:\[[^]]*\])?==(\S+)", source_tree.text(Path(name)))}


def test_every_dependency_is_locked_at_a_version_that_fits() -> None:
    project = tomllib.loads(source_tree.text(Path("pyproject.toml")))["project"]
    wanted = [
        *project["dependencies"],
        *(entry for extra in project["optional-dependencies"].values() for entry in extra),
    ]
    assert len(wanted) > 10
    for requirement in map(Requirement, wanted):
        version = locked().get(normal(requirement.name))
        assert version is not None, f"{requirement} is not in requirements.lock; run: make lock"
        assert requirement.specifier.contains(version), f"{requirement} is locked as {version}; run: make lock"


@pytest.mark.parametrize("name", ["requirements.lock", "tools/builder.lock"])
def test_every_locked_package_has_hashes_and_no_address(name: str) -> None:
    content = source_tree.text(Path(name))
    assert "://" not in content
    entries = re.split(r"(?m)^(?=[\w.-]+==)", re.sub(r"(?m)^\s*#.*\n", "", content))[1:]
    assert len(entries) == len(locked(name))
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_pinned_engine_is_the_sdks_version() -> None:
    pinned = re.search(r"github.com/pulumi/pulumi/pkg/v3 v(\S+)", source_tree.text(Path("tools/pulumi/go.mod")))
    assert pinned is not None
    assert pinned[1] == locked()["pulumi"]


def test_the_pinned_plugin_is_that_of_the_bakes() -> None:
    pinned = re.search(r"googlecompute (v\S+)", source_tree.text(Path("tools/googlecompute/go.mod")))
    assert pinned is not None
    assert pinned[1] == PLUGIN_VERSION


def setting_keys() -> set[str]:
    """Every key a stack may set, dotted; those of groups are from the models: ``memory_mb`` is ``memoryMb``."""

    def camel(name: str) -> str:
        return re.sub(r"_(\w)", lambda match: match[1].upper(), name)

    groups = {"cluster": ClusterSettings, "local": LocalSettings, "spack": SpackSettings, "google": GoogleSettings}
    groups |= {"limits": LimitSettings, "mirrors": Mirrors}
    keys = {*KEYS, *GROUPS} - {*groups}
    return keys | {f"{group}.{camel(name)}" for group, kind in groups.items() for name in kind._fields}


def test_every_setting_is_documented_and_nothing_else() -> None:
    documented = set(re.findall(r"(?m)^\| `([\w.]+)` \|", source_tree.text(Path("docs/settings.md"))))
    assert documented == setting_keys()


def test_stacks_set_only_documented_keys() -> None:
    stacks = [path for path in source_tree.tracked() if re.fullmatch(r"Pulumi\.\w+\.yaml", str(path))]
    assert stacks
    for path in stacks:
        config = yaml.safe_load(source_tree.text(path))["config"]
        ours = {key.removeprefix("image-bakery:") for key in config if key.startswith("image-bakery:")}
        assert ours <= {key.partition(".")[0] for key in setting_keys()}


def test_links_between_documents_lead_somewhere() -> None:
    wrong = []
    for path in (path for path in source_tree.tracked() if path.suffix == ".md"):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", source_tree.text(path)):
            if "://" not in target and not (source_tree.ROOT / path.parent / target).exists():
                wrong.append(f"{path} -> {target}")
    assert wrong == []
