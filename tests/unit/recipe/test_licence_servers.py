"""Licence servers: how they are written, and how a machine that bakes asks them."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.recipe import licence_servers
from tests.support import recipe_tree

RECIPE = "licenceServers:\n- 27000@licence.example.org\n- 1@a,2@b,3@c\n"


@pytest.mark.parametrize(
    ("server", "found"),
    [
        ("27000@licence.example.org", [("licence.example.org", 27000)]),
        ("1@a,2@10.0.0.1,65535@c_d", [("a", 1), ("10.0.0.1", 2), ("c_d", 65535)]),
        ("65536@a", []),
        ("0@a", []),
        ("a", []),
        ("@a", []),
        ("1@a:2@b", []),
        ("1@a,2@b", []),
        ("1@a,", []),
        ("1@-oProxy", []),
        ("1@a;reboot", []),
    ],
)
def test_an_entry_is_one_server_or_a_triad(server: str, found: list[tuple[str, int]]) -> None:
    assert licence_servers.addresses(server) == found


def test_a_recipe_keeps_them_with_their_lines(tmp_path: Path) -> None:
    recipe_tree.write(tmp_path, {"recipe.yaml": RECIPE})
    (recipe,) = recipe_tree.loaded(tmp_path).recipes
    (one, first), (_, second) = recipe.licence_servers.items()
    assert one == "27000@licence.example.org"
    assert first.endswith("packages/app/recipe.yaml:2") and second.endswith("packages/app/recipe.yaml:3")


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"{server.getsockname()[1]}@127.0.0.1"


@pytest.fixture
def closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"{port}@127.0.0.1"


def asked(servers: list[str]) -> subprocess.CompletedProcess[str]:
    """What the provisioner does on the machine, which is this one."""
    (step,) = licence_servers.provisioners(dict.fromkeys(servers, "packages/app/recipe.yaml:3"))
    text = "\n".join(("#!/bin/sh -e", *step["inline"], ""))
    checked = subprocess.run(["shellcheck", "-"], input=text, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    return subprocess.run(["/bin/sh", "-e"], input=text, capture_output=True, text=True, check=False)


def test_a_machine_goes_on_if_all_answer(listening: str, closed: str) -> None:
    triad = f"{listening},{closed},{listening}"
    assert asked([listening, triad]).returncode == 0


def test_a_machine_names_all_that_do_not_answer(listening: str, closed: str) -> None:
    triad = f"{listening},{closed},{closed}"
    done = asked([closed, listening, triad, "27000@none.such.invalid"])
    assert done.returncode == 1
    left = licence_servers.reported(f"Step #1: {done.stderr}\n{done.stderr}")
    assert left == [
        f"packages/app/recipe.yaml:3: error: {licence_servers.message(server)}; {licence_servers.HINT}"
        for server in (closed, triad, "27000@none.such.invalid")
    ]


def test_without_servers_there_is_no_provisioner() -> None:
    assert licence_servers.provisioners({}) == []
    assert licence_servers.reported("googlecompute: a licence server of ours\n") == []
