"""Who wrote the commits that changed a folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bakery.errors import BakeryError
from bakery.host.revision import authors, revision


def commit(root: Path, path: str, author: str) -> str:
    """Change a file of the checkout, and return the commit."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{author} {path} {len(list(root.rglob('*')))}\n", encoding="utf-8")
    identity = ("-c", f"user.name={author}", "-c", f"user.email={author}@Example.com")
    for words in (("add", "-A"), ("commit", "-q", "--allow-empty", "-m", "a change")):
        subprocess.run(["git", *identity, *words], cwd=root, check=True)
    return revision(root)


def test_the_authors_are_those_of_the_commits_that_changed_the_folder(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    folder = tmp_path / "app"
    first = commit(tmp_path, "app/install.sh", "ann")
    second = commit(tmp_path, "app/share/motd", "bob")
    third = commit(tmp_path, "other/install.sh", "cid")
    last = commit(tmp_path, "app/install.sh", "dan")
    everybody = {"ann@example.com", "bob@example.com", "dan@example.com"}
    assert authors(tmp_path, folder, "", "") == authors(tmp_path, folder, "", last) == everybody
    assert authors(tmp_path, folder, "", third) == {"ann@example.com", "bob@example.com"}
    assert authors(tmp_path, folder, first, third) == {"bob@example.com"}
    assert authors(tmp_path, folder, second, third) == authors(tmp_path, folder, last, first) == frozenset()
    (tmp_path / ".mailmap").write_text("Ann <ann@work.example> <ann@Example.com>\n")
    assert authors(tmp_path, folder, "", first) == {"ann@work.example"}


def test_a_commit_that_the_checkout_lacks_is_an_error_and_no_checkout_has_no_authors(tmp_path: Path) -> None:
    assert authors(tmp_path, tmp_path, "", "") == frozenset()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert authors(tmp_path, tmp_path, "", "") == frozenset(), "nothing is committed yet"
    commit(tmp_path, "app", "ann")
    with pytest.raises(BakeryError, match="can't be known who changed") as raised:
        authors(tmp_path, tmp_path, "0" * 40, "")
    assert "git fetch --unshallow" in raised.value.hint
