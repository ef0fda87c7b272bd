"""Every address that a stack fetches from: for its set-up, its base images and tools, and in its recipes."""

import platform
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from bakery.backends.base import Backend
from bakery.operations.plan import plan_of
from bakery.operations.python_packages import python_packages
from bakery.plan.address import Address, FetchKind, joined
from bakery.plan.model import ImagePlan
from bakery.recipe.model import SourceFile
from bakery.settings import Settings
from bakery.settings.network import PULUMI, mirrored

BAKERY = "the bakery"
# Neither a pattern of a shell, as http://*, nor an address of the machine or of the computer that it runs on.
_URL = re.compile(r"""\b(?:https?|git|ftp)://(?!localhost|127\.|10\.0\.2\.2|[*[])[^\s'"`<>()\\|;,]+""")
_COMMENT = re.compile(r"\s*(?:#|//)")
_PLATFORMS = {"x86_64": ("x64", "amd64"), "aarch64": ("arm64", "arm64")}  # as Pulumi names its archives


def addresses(backend: Backend) -> tuple[Address, ...]:
    """Return the addresses by kind, each once. Raises InputError for recipes with errors, and BakeryError."""
    settings, plan = backend.settings, plan_of(backend.settings)
    images = [image for image in plan.images if image.taken is None]
    found = [*backend.fetched(images), *_pulumi(settings), *python_packages(settings)]
    for image in images:
        found += _spack(settings, image)
        found += [address for file in image.files for address in _named(file)]
    return joined(found)


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables for set-up, CI and ``pulumi plugin install``, which read no settings.

    The last one is described in Pulumi's documentation, "Environment variables"; its pattern fits every plugin.
    """
    variables = dict(settings.network.environment)
    if mirror := settings.network.mirrors.pulumi_plugins:
        variables["PULUMI_PLUGIN_DOWNLOAD_URL_OVERRIDES"] = f".*={mirror}/releases/plugins"
    return variables


def _pulumi(settings: Settings) -> Iterator[Address]:
    """Yield the archives of the engine and of the provider, as get.pulumi.com names them."""
    engine, plugin = _PLATFORMS.get(platform.machine(), _PLATFORMS["x86_64"])
    archives = [("pulumi", f"sdk/pulumi-v{{}}-linux-{engine}")]
    if settings.in_project:
        archives.append(("pulumi-gcp", f"plugins/pulumi-resource-gcp-v{{}}-linux-{plugin}"))
    for package, path in archives:
        number = version(package)
        url = f"{PULUMI}/releases/{path.format(number)}.tar.gz"
        at = mirrored(url, {PULUMI: settings.network.mirrors.pulumi_plugins or PULUMI})
        yield Address(FetchKind.PULUMI, url, at, number, used_by=(BAKERY,))


def _spack(settings: Settings, image: ImagePlan) -> Iterator[Address]:
    """Yield what the bake of an image has of Spack's settings, if these are addresses."""
    given = image.variables
    places = {"spack_source": "spack_ref", "spack_packages_source": "spack_packages_ref"}
    for name in (*places, "spack_mirror", "spack_cache"):
        url = given.get(name, "")
        if name in (image.template.get("variables") or {}) and "://" in url:
            yield Address(FetchKind.SPACK, url, url, given.get(places.get(name, ""), ""), used_by=(image.family,))


def _named(file: SourceFile) -> Iterator[Address]:
    """Yield the addresses in a file of a recipe, except in comments; variables in them are as they are written."""
    for number, line in enumerate(_text(Path(file.source)).splitlines(), 1):
        if _COMMENT.match(line):
            continue
        for url in _URL.findall(line):
            found = url.rstrip(".:]}")
            yield Address(FetchKind.RECIPE, found, found, used_by=(f"{file.path}:{number}",))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
