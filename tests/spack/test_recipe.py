"""The recipe of the Spack test, looked at without a Spack: it must not rot between two runs of the long test."""

from __future__ import annotations

from pathlib import Path

from bakery.recipe.load import load
from tests.spack import shelf


def test_nothing_is_wrong_with_it(tmp_path: Path) -> None:
    folder = shelf.checkout(tmp_path)
    found = load(folder / "packages", folder / "common")
    assert [str(problem) for problem in found.problems] == []
    assert [recipe.name for recipe in found.recipes] == ["bzip2", "rcc-debian"]


def test_what_a_machine_stores_goes_into_the_cache_alone(tmp_path: Path) -> None:
    from http.client import HTTPConnection

    with shelf.serve(tmp_path / "shelf") as served:
        codes = {}
        for path in ("/cache/blobs/a", "/spack.tar.gz", "/cache/../b"):
            connection = HTTPConnection("127.0.0.1", served.port)
            connection.request("PUT", path, body=b"x")
            codes[path] = connection.getresponse().status
            connection.close()
    assert codes == {"/cache/blobs/a": 201, "/spack.tar.gz": 403, "/cache/../b": 403}
    assert [file.name for file in (tmp_path / "shelf").rglob("*") if file.is_file()] == ["a"]
