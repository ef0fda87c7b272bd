from __future__ import annotations

from pathlib import Path

import pytest

from bakery.errors import InfrastructureFailed
from bakery.host.mirror import Source, apt_sources, at_mirrors, codename, deb822, for_suite, one_line, published

ONE_LINE = """
# deb http://comment.example/debian bookworm main
deb http://m.example/debian bookworm main contrib # trailing
deb [arch=amd64 signed-by=/k.gpg] http://s.example/security bookworm-security main
deb-src http://m.example/debian bookworm main
"""
DEB822 = """# comment
Types: deb deb-src
URIs: http://m.example/debian http://n.example/debian
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By: /k.gpg

Types: deb
Enabled: no
URIs: http://off.example
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example
Suites: bookworm
Components: main

Types: deb
URIs: http://own.example
Suites: stable
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
"""


def test_one_line_sources_with_options_comments_and_without_sources_of_source():
    assert list(one_line(ONE_LINE)) == [
        Source("http://m.example/debian", "bookworm", ("main", "contrib")),
        Source("http://s.example/security", "bookworm-security", ("main",), "/k.gpg"),
    ]


def test_deb822_multiplies_addresses_and_suites_and_leaves_out_what_is_disabled():
    found = list(deb822(DEB822))
    assert [(source.uri, source.suite) for source in found[:-1]] == [
        (uri, suite)
        for uri in ("http://m.example/debian", "http://n.example/debian")
        for suite in ("bookworm", "bookworm-updates")
    ]
    assert found[0].components == ("main", "contrib")
    assert found[0].signed_by == "/k.gpg"


def test_a_key_inside_the_file_is_no_path():
    assert list(deb822(DEB822))[-1] == Source("http://own.example", "stable", ("main",))


def test_files_of_both_kinds_are_read_and_others_are_not(tmp_path: Path):
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (parts / "debian.sources").write_text(DEB822)
    (parts / "old.sources.disabled").write_text(DEB822)
    assert len(apt_sources(tmp_path)) == 2 + 5


def test_another_release_comes_from_the_same_mirror():
    sources = tuple(one_line(ONE_LINE))
    assert [source.line() for source in for_suite("trixie", "", sources, "bookworm")] == [
        "deb http://m.example/debian trixie main",
        "deb [signed-by=/k.gpg] http://s.example/security trixie-security main",
    ]


def test_the_setting_stands_over_apt():
    assert for_suite("bookworm", "http://mine", (), "") == (Source("http://mine", "bookworm", ("main",)),)


APT = {
    "http://archive.example/debian-security": "http://m.example/s",
    "http://archive.example/debian": "http://m.example/d",
    "http://archive.example/ubuntu": "http://m.example/u",
}


def test_sources_are_the_publishers_and_fetched_from_mirrors() -> None:
    written = published("bookworm", APT)
    assert [source.line() for source in written] == [
        "deb http://archive.example/debian bookworm main",
        "deb http://archive.example/debian bookworm-updates main",
        "deb http://archive.example/debian-security bookworm-security main",
    ]
    fetched = [(source.uri, source.suite) for source in at_mirrors(written, APT)]
    assert fetched == [
        ("http://m.example/d", "bookworm"),
        ("http://m.example/d", "bookworm-updates"),
        ("http://m.example/s", "bookworm-security"),
    ]


def test_mirrors_without_the_release_itself_give_no_sources() -> None:
    assert published("bookworm", {key: value for key, value in APT.items() if not key.endswith("/debian")}) == ()


@pytest.mark.parametrize("name", ["jammy", ""])
def test_without_a_debian_mirror_it_says_which_setting_to_make(name: str):
    sources = (Source("http://archive.example/ubuntu", "noble", ("main",)),)
    with pytest.raises(InfrastructureFailed, match=r"local\.mirror"):
        for_suite("bookworm", "", sources, name)


def test_codename_is_only_that_of_debian(tmp_path: Path):
    file = tmp_path / "os-release"
    file.write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    assert codename(file) == "bookworm"
    file.write_text("ID=ubuntu\nVERSION_CODENAME=noble\n")
    assert codename(file) == ""
    assert codename(tmp_path / "none") == ""
