"""Mirrors and proxy of the steps of a build: their images, their environment, and the plugins that they install."""

import re
import shlex
from collections.abc import Mapping

from bakery.plan.address import packer_plugin
from bakery.recipe.model import Json
from bakery.settings import NetworkSettings
from bakery.settings.network import mirrored_image

# Steps and machines reach Google's APIs, the metadata server and IAP by Private Google Access, without the proxy.
GOOGLE = (".googleapis.com", ".cloudproxy.app", "metadata.google.internal", "169.254.169.254")
_INSTALL = re.compile(r"packer plugins install (github\.com/[\w./-]+) (v?\d+\.\d+\.\d+)\b")


def on_google(network: NetworkSettings) -> NetworkSettings:
    """Return the network as steps and machines on Google Cloud see it."""
    return network._replace(direct=(*network.direct, *GOOGLE))


def environment(network: NetworkSettings) -> list[str]:
    """Return the variables of all steps, as the API has them."""
    return [f"{name}={value}" for name, value in on_google(network).environment.items()]


def with_mirrors(step: Json, network: NetworkSettings) -> Json:
    """Return a step whose image and whose plugins of Packer come from mirrors; without mirrors, as it was."""
    mirrors = network.mirrors
    changed = dict(step)
    if "name" in step:
        changed["name"] = mirrored_image(str(step["name"]), mirrors.containers)
    if mirrors.packer_plugins:
        for key in ("args", "script"):
            if key in step:
                changed[key] = _installed(step[key], mirrors.packer_plugins, "$" if key == "script" else "$$")
    return changed


def _installed(value: Json, mirror: str, dollar: str) -> Json:
    if isinstance(value, list):
        return [_installed(one, mirror, dollar) for one in value]
    return _INSTALL.sub(lambda match: install(match[1], match[2], mirror, dollar), str(value))


def install(source: str, version: str, mirror: str, dollar: str = "$") -> str:
    """Return the shell command that installs a plugin of Packer from a mirror and checks its archive's checksum.

    Packer itself asks GitHub's API, which a mirror does not have. ``dollar`` is how a $ is written.
    """
    sums = packer_plugin(source, version, mirror).mirror
    folder, _, file = sums.rpartition("/")
    words: Mapping[str, str] = {
        "sums": shlex.quote(sums),
        "file": file,
        "folder": folder,
        "source": shlex.quote(source),
    }
    text = (
        "( cd \"$(mktemp -d)\" && wget -q {sums} && line=$(grep '_linux_amd64.zip$' {file}) && zip=${line##* } && "
        'wget -q "{folder}/$zip" && echo "$line" | sha256sum -c - && unzip -q "$zip" && '
        'packer plugins install --path "./${zip%.zip}" {source} )'
    )
    for name, word in words.items():
        text = text.replace(f"{{{name}}}", word)
    return text.replace("$", dollar)
