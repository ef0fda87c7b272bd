"""Plans compare with a revision of the repository that the recipes are in, and images are labelled with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.host.revision import authors, repository
from bakery.plan.image_labels import REVISION_LABEL
from bakery.settings import from_file
from tests.support.checkout import Checkout
from tests.support.layouts import LAYOUTS, SCRIPT, Layout, beside, commit, git, in_a_subfolder, submodule

REASON = "packages/app/install.sh changed"


@pytest.fixture(params=LAYOUTS, ids=lambda made: made.__name__)
def layout(request: pytest.FixtureRequest, tmp_path: Path) -> Layout:
    made: Callable[[Path], Layout] = request.param
    return made(tmp_path / "repository")


def planned(layout: Layout, since: str) -> list[tuple[str, str, list[str]]]:
    done = layout.checkout.run("plan", "--since", since, "--json")
    assert done.returncode == 0, done.stderr
    return [(one["family"], one["action"], one["reasons"]) for one in json.loads(done.stdout)["images"]]


def test_a_plan_since_a_revision_names_what_changed(layout: Layout) -> None:
    assert planned(layout, "HEAD^") == [("base", "keep", []), ("app", "bake", [REASON])]
    assert planned(layout, "HEAD") == [("base", "keep", []), ("app", "keep", [])]


def test_images_have_the_revision_of_their_recipes(layout: Layout) -> None:
    assert layout.checkout.run("bake", "app").returncode == 0
    library = backend(from_file(layout.root, "dev")).existing_library()
    assert library is not None
    revisions = {image.labels[REVISION_LABEL] for image in library.listing().images}
    assert revisions == {git(layout.recipes, "rev-parse", "HEAD").strip()}


def test_the_authors_are_those_of_the_recipes_commits(layout: Layout) -> None:
    settings = from_file(layout.root, "dev")
    folder, head = settings.packages / "app", git(layout.recipes, "rev-parse", "HEAD").strip()
    assert authors(settings.packages, folder, "", head) == {"t@example.org"}
    assert authors(settings.packages, folder, head, "") == frozenset()


def test_the_repository_of_a_path_is_the_nearest_one(layout: Layout) -> None:
    settings = from_file(layout.root, "dev")
    assert (repository(settings.root), repository(settings.packages)) == (layout.top, layout.recipes)
    assert repository(Path("/")) is None


def test_settings_and_lock_are_those_of_the_revision(tmp_path: Path) -> None:
    layout = beside(tmp_path / "repository")
    layout.checkout.settings(
        oven="fake", packages="../recipes/packages", common="../recipes/common", nonce={"base": "x"}
    )
    assert [action for _, action, _ in planned(layout, "HEAD")] == ["bake", "bake"]
    commit(layout.top, "third")
    assert [action for _, action, _ in planned(layout, "HEAD")] == ["keep", "keep"]
    lock = layout.root / "bakery.lock"
    lock.write_text(lock.read_text().replace("5" * 64, "6" * 64))
    assert [action for _, action, _ in planned(layout, "HEAD")] == ["bake", "bake"]


def test_what_is_in_another_repository_within_the_projects_is_as_it_is_now(tmp_path: Path) -> None:
    layout = in_a_subfolder(tmp_path / "repository")
    vendor = layout.root / "vendor"
    for name in ("common", "bakery.lock"):
        vendor.mkdir(exist_ok=True)
        (layout.root / name).rename(vendor / name)
    git(vendor, "init", "--quiet")
    commit(vendor, "first")
    (layout.root / ".gitignore").write_text("vendor/\n")
    layout.checkout.settings(oven="fake", common="vendor/common", lock="vendor/bakery.lock")
    commit(layout.top, "third")
    assert planned(layout, "HEAD") == [("base", "keep", []), ("app", "keep", [])]


def test_recipes_that_were_elsewhere_are_found_there(tmp_path: Path) -> None:
    layout = in_a_subfolder(tmp_path / "repository")
    for name in ("packages", "common"):
        (layout.root / name).rename(layout.top / name)
    layout.checkout.settings(oven="fake", packages="../../packages", common="../../common")
    assert planned(layout, "HEAD^") == [("base", "keep", []), ("app", "bake", [REASON])]


def test_all_images_of_a_project_that_is_new_are_new(tmp_path: Path) -> None:
    layout = in_a_subfolder(tmp_path / "repository")
    moved = Layout(layout.top, Checkout(layout.root.rename(layout.root.with_name("moved"))), layout.top)
    assert [action for _, action, _ in planned(moved, "HEAD")] == ["bake", "bake"]


def test_a_submodule_of_a_package_counts_and_a_revision_that_is_not_there_is_named(tmp_path: Path) -> None:
    layout = in_a_subfolder(tmp_path / "repository")
    share = tmp_path / "share"
    share.mkdir()
    (share / "motd").write_text("hello\n")
    git(share, "init", "--quiet")
    commit(share, "first")
    git(layout.top, "rm", "-r", "--quiet", "infra/images/packages/app/share")
    git(layout.top, "submodule", "--quiet", "add", str(share), "infra/images/packages/app/share")
    commit(layout.top, "third")
    assert planned(layout, "HEAD") == planned(layout, "HEAD^") == [("base", "keep", []), ("app", "keep", [])]
    (layout.root / "packages/app/share/motd").write_text("bye\n")
    assert planned(layout, "HEAD")[1] == ("app", "bake", ["packages/app/share/motd changed"])


def test_a_shallow_submodule_that_lacks_the_revision_is_told(tmp_path: Path) -> None:
    layout = submodule(tmp_path / "repository")
    place, origin = layout.recipes.relative_to(layout.top).as_posix(), tmp_path / "recipes"
    git(layout.top, "submodule", "--quiet", "deinit", "--force", place)
    shutil.rmtree(layout.top / ".git" / "modules")
    git(layout.top, "config", f"submodule.{place}.url", f"file://{origin}")
    git(layout.top, "submodule", "--quiet", "update", "--depth", "1")
    assert (layout.recipes / SCRIPT).exists()
    done = layout.checkout.run("plan", "--since", "HEAD^")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--since:1: error: revision 'HEAD^' can't be read" in done.stderr
