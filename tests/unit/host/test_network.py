"""The proxy of a stack counts for this process and all that it starts."""

from __future__ import annotations

import os

import pytest

from bakery.host import network
from bakery.settings import NetworkSettings
from bakery.settings.network import DIRECT


def test_the_stacks_proxy_counts_and_without_one_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"https_proxy": "http://users.example"})
    network.use(DIRECT)
    assert os.environ == {"https_proxy": "http://users.example"}
    network.use(NetworkSettings("http://p.example:3128"))
    assert os.environ["https_proxy"] == os.environ["HTTP_PROXY"] == "http://p.example:3128"
