"""The plugin reads the settings that the program reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from pulumi.dynamic import Config, ConfigureRequest

from bakery.resources import plugin, provider


@pytest.mark.parametrize("namespace", ["images", "image-bakery"])
def test_hints_of_the_plugin_have_the_prefix_of_the_stacks_settings(
    namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(provider, "_configured", None)
    monkeypatch.setattr(plugin, "prepare", lambda: None)
    monkeypatch.chdir(tmp_path)
    config = Config({f"{namespace}:oven": "fake", "images:site": "x"}, "images")
    provider.BakeryProvider().configure(ConfigureRequest(config))
    settings = provider.settings("urn:pulumi:dev::images::t::n")
    assert (settings.stack, settings.oven, settings.namespace) == ("dev", "fake", namespace)
