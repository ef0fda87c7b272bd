"""``bakery init`` overwrites nothing, and says all that is in its way at once."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from bakery import __version__
from bakery.errors import InputError
from bakery.operations.init import init
from bakery.settings import from_file
from tests.support.root import ROOT


def test_the_files_of_a_new_repository_are_kept(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("ours\n")
    written = init(tmp_path, "site-images")
    assert (tmp_path / "README.md").read_text() == "ours\n"
    assert "README.md" not in written and ".gitignore" in written
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()) == sorted(
        (*written, "README.md")
    )
    assert [path for path in written if re.search("@[A-Z]+@", (tmp_path / path).read_text())] == []
    assert (tmp_path / "packages/hello/install.sh").stat().st_mode & 0o111
    assert from_file(tmp_path, "dev").shipped == ("rcc-debian",)


def test_a_new_repository_requires_what_a_stack_of_either_back_end_imports(tmp_path: Path) -> None:
    init(tmp_path, "site-images")
    extra = re.fullmatch(r"image-bakery\[(\w+)\]==(.+)\n", (tmp_path / "requirements.txt").read_text())
    assert extra is not None and extra[2] == __version__
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"][extra[1]]
    clients = {re.split(r"[>=]", name)[0].removeprefix("google-cloud-") for name in packages}
    assert clients == {"bigquery", "build", "pubsub", "storage"}


def test_everything_in_the_way_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    for name in ("Pulumi.yaml", "bakery.lock"):
        (tmp_path / name).write_text("ours\n")
    with pytest.raises(InputError) as refused:
        init(tmp_path, "3")
    assert [problem.message for problem in refused.value.problems] == [
        "exists already", "exists already", "the project's name is '3'",
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Pulumi.yaml", "bakery.lock"]


def test_the_name_is_made_from_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "Our Images (2026)"
    init(folder)
    assert (folder / "Pulumi.yaml").read_text().startswith("name: our-images-2026\n")


def test_projects_in_subfolders_have_workflows_at_the_top_and_share_the_reusable_one(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")  # a work tree
    workflows = tmp_path / ".github" / "workflows"
    written = init(tmp_path / "infra" / "a")
    assert {"../../.github/workflows/bakery.yaml", "../../.github/workflows/images-a.yaml"} <= set(written)
    (workflows / "bakery.yaml").write_text("ours\n")
    written = init(tmp_path / "infra" / "b")
    assert [path for path in written if "workflows" in path] == ["../../.github/workflows/images-b.yaml"]
    assert (workflows / "bakery.yaml").read_text() == "ours\n"
    for name in ("a", "b"):
        caller = yaml.safe_load((workflows / f"images-{name}.yaml").read_text())
        assert caller["jobs"]["images"]["with"]["folder"] == f"infra/{name}"
        paths = [f"infra/{name}/**", f".github/workflows/images-{name}.yaml", ".github/workflows/bakery.yaml"]
        for event in ("push", "pull_request"):
            assert caller[True][event]["paths"] == paths  # to PyYAML, `on` is true
        pipeline = yaml.safe_load((tmp_path / "infra" / name / ".gitlab-ci.yml").read_text())
        assert pipeline[f"{name}-plan"]["rules"][0]["changes"] == [f"infra/{name}/**/*"]
    with pytest.raises(InputError, match=r"infra/b/Pulumi\.yaml:1: error: exists already"):
        init(tmp_path / "infra" / "b")


@pytest.mark.parametrize("name", ["it's ours", "images #1", "a: b", 'a"b', "a$b", "a[1]", "c++"])
def test_a_subfolder_whose_path_ci_would_read_as_something_else_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(InputError, match=r"CI cannot use the path .* of the folder in its repository; name it"):
        init(tmp_path / name / "images")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git"]


def test_a_subfolder_with_blanks_is_the_one_that_ci_works_in(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    folder = "Our données (old) & 100%"
    init(tmp_path / folder, "site")
    caller = yaml.safe_load((tmp_path / ".github/workflows/images-site.yaml").read_text())
    assert caller["jobs"]["images"]["with"]["folder"] == folder
    pipeline = yaml.safe_load((tmp_path / folder / ".gitlab-ci.yml").read_text())
    assert pipeline[".site"]["before_script"][0] == f'cd "{folder}"'


def test_at_the_top_of_a_repository_ci_looks_at_all_of_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    written = init(tmp_path, "site")
    assert ".github/workflows/images.yaml" in written
    caller = yaml.safe_load((tmp_path / ".github/workflows/images.yaml").read_text())
    assert caller["jobs"]["images"]["with"]["folder"] == "."
    assert caller[True]["pull_request"] is None


def test_a_template_has_placeholders_only_where_pulumi_new_replaces_them(tmp_path: Path) -> None:
    written = init(tmp_path / "a", "site"), init(tmp_path / "b", "site", template=True)
    assert written[0] == written[1]
    differ = [path for path in written[0] if (tmp_path / "a" / path).read_text() != (tmp_path / "b" / path).read_text()]
    assert differ == ["Pulumi.dev.yaml", "Pulumi.yaml", "README.md"]
    assert "$" not in (tmp_path / "b/Pulumi.dev.yaml").read_text()
    text = (tmp_path / "b/Pulumi.yaml").read_text()
    assert re.findall(r"(?m)^(\w+): (\$\{\w+\})$", text) == [("name", "${PROJECT}"), ("description", "${DESCRIPTION}")]
