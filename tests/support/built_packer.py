"""The Packer and the googlecompute plugin that ``make test-slow`` builds, for the tests that it runs."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from bakery.ovens.cloud_build.request import PLUGIN
from tools import build_packer


def program(name: str = "packer") -> Path:
    """One of the programs."""
    file = build_packer.folder() / name
    assert file.exists(), f"{file} does not exist: run make test-slow, which builds it"
    return file


def with_plugin(environment: Mapping[str, str]) -> Path:
    """Packer; the plugin is installed where ``PACKER_PLUGIN_PATH`` of the environment says."""
    install = [program(), "plugins", "install", "--path", program(f"packer-plugin-{PLUGIN.rpartition('/')[2]}"), PLUGIN]
    subprocess.run(install, env=environment, check=True, stdout=subprocess.DEVNULL)
    return program()
