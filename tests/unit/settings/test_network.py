"""The settings ``proxy``, ``noProxy`` and ``mirrors``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakery.errors import InputError
from bakery.settings import NetworkSettings, parse
from bakery.settings.network import DIRECT, mirrored, mirrored_image


def network(**values: Any) -> NetworkSettings:
    return parse(values, "dev", Path("/checkout")).network


def problems(**values: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        network(**values)
    return [str(problem) for problem in caught.value.problems]


def test_without_them_nothing_is_set() -> None:
    assert network() == DIRECT
    assert network().environment == {}


def test_mirrors_and_the_machine_itself_are_reached_without_the_proxy() -> None:
    made = network(
        proxy="http://proxy.example:3128/",
        noProxy=[".inside.example"],
        mirrors={"apt": {"http://a.example/debian": "http://m.example/debian/"}, "pypi": "http://p.example:81/simple"},
    )
    assert made.environment == {
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://proxy.example:3128"),
        **dict.fromkeys(("no_proxy", "NO_PROXY"), "localhost,127.0.0.1,::1,m.example,p.example,.inside.example"),
        **dict.fromkeys(("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), "http://p.example:81/simple"),
        "PIP_TRUSTED_HOST": "p.example:81",
    }


def test_an_index_over_https_need_not_be_trusted() -> None:
    assert set(network(mirrors={"pypi": "https://p.example/simple"}).environment) == {
        "PIP_INDEX_URL",
        "UV_DEFAULT_INDEX",
    }


def test_a_machine_reaches_loopback_addresses_of_this_computer_as_its_host() -> None:
    made = network(
        proxy="http://localhost:3128",
        mirrors={"apt": {"http://a.example/debian": "http://127.0.0.1:81/debian"}, "spack": "https://s.example"},
    ).seen_from("10.0.2.2")
    assert made.proxy == "http://10.0.2.2:3128"
    assert made.mirrors.apt == {"http://a.example/debian": "http://10.0.2.2:81/debian"}
    assert made.mirrors.spack == "https://s.example"


def test_the_longest_origin_counts_and_only_whole_parts_of_a_path() -> None:
    mirrors = {"https://a.example": "https://m.example/a", "https://a.example/debian": "https://m.example/d"}
    assert mirrored("https://a.example/debian/dists", mirrors) == "https://m.example/d/dists"
    assert mirrored("https://a.example/debian", mirrors) == "https://m.example/d"
    assert mirrored("https://a.example/debian-security/x", mirrors) == "https://m.example/a/debian-security/x"
    assert mirrored("https://a.example.org/debian", mirrors) == "https://a.example.org/debian"


@pytest.mark.parametrize(
    ("reference", "pulled"),
    [
        ("hashicorp/packer:1.16.1@sha256:ab", "m.example/d/hashicorp/packer:1.16.1@sha256:ab"),
        ("alpine:3", "m.example/d/library/alpine:3"),
        ("gcr.io/cloud-builders/git", "gcr.io/cloud-builders/git"),
        ("docker.io/library/alpine", "m.example/d/library/alpine"),
    ],
)
def test_an_image_without_a_registry_is_dockers(reference: str, pulled: str) -> None:
    assert mirrored_image(reference, {"docker.io": "m.example/d"}) == pulled
    assert mirrored_image(reference, {}) == reference


def test_a_password_is_refused_and_not_shown() -> None:
    said = problems(
        proxy="http://me:s3cret@proxy.example",
        mirrors={
            "pypi": "https://tok3n@p.example/simple",
            "apt": {"http://a.example/debian": "http://u:s3cret@m.example"},
        },
    )
    assert len(said) == 3
    assert [one for one in said if "has a user name or a password" not in one] == []
    assert "s3cret" not in "".join(said)
    assert "tok3n" not in "".join(said)


def test_all_that_is_wrong_is_said_at_once() -> None:
    said = problems(
        proxy="proxy.example:3128",
        noProxy=["http://x"],
        mirrors={
            "apt": {
                "deb.example": "http://m.example",
                "http://b.example": "http://n.example",
                "http://c.example": "http://n.example",
            },
            "containers": {"docker.io": "https://m.example"},
            "pip": "https://m.example",
        },
        local={"mirror": "http://l.example"},
    )
    assert "\n".join(said).count("\n") >= 5
    for part in (
        "proxy is not an address",
        "noProxy has 'http://x'",
        "mirrors.apt.deb.example is not the address of a publisher",
        "mirrors.apt.http://c.example has the mirror of another address",
        "mirrors.containers.docker.io is not a registry",
        "unknown key 'image-bakery:mirrors.pip'",
        "local.mirror is set as well as mirrors.apt",
    ):
        assert any(part in one for one in said), part


def test_the_mirror_of_spacks_sources_has_one_setting() -> None:
    assert (
        "spack.mirror is set as well as mirrors.spack"
        in problems(spack={"mirror": "gs://m"}, mirrors={"spack": "https://m.example"})[0]
    )
