"""What this machine lacks to bake and test with a stack's back end: ``bakery doctor``."""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from bakery.backends.base import Backend
from bakery.backends.checks import Check, Condition, find
from bakery.errors import BakeryError
from bakery.host import process
from bakery.host.engine import how_to_install
from bakery.redaction import redacted
from bakery.settings import PROJECT, SpackSettings


def checks(backend: Backend) -> Iterator[Check]:
    """Check this machine, about one second with the local back end. Nothing is changed."""
    prefix = f"{backend.settings.namespace}:"  # a key with another one would change whose the others are
    for check in _checks(backend):
        yield replace(check, fix=check.fix.replace(f"{PROJECT}:", prefix))


def _checks(backend: Backend) -> Iterator[Check]:
    yield check_python()
    yield check_engine(backend.settings.root)
    yield check_go()
    if backend.settings.source_stack is None:  # else nothing is baked and tested here
        yield from backend.checks()
        yield check_spack(backend.settings.spack)


def check_python() -> Check:
    """Return the Python that runs this."""
    number = ".".join(map(str, sys.version_info[:3]))
    return Check("python", Condition.OK, f"{number} ({sys.prefix})", "runs the bakery")


def check_engine(root: Path) -> Check:
    """Check for a Pulumi engine at least as new as the SDK, on PATH or in the folder of the checkout's set-up."""
    purpose, fix = "runs the stacks (bakery plan does not need it)", how_to_install(root)
    wanted = version("pulumi")
    program = find("pulumi") or find(str(root / ".bakery" / "engine" / "pulumi"))
    if program is None:
        return Check("pulumi", Condition.MISSING, "not installed", purpose, fix)
    shown = shown_version_of_engine(program)
    if numbers(shown) < numbers(wanted):
        return Check("pulumi", Condition.MISSING, f"{shown}, needed: {wanted} or newer", purpose, fix)
    return Check("pulumi", Condition.OK, shown, purpose)


def shown_version_of_engine(program: Path) -> str:
    """Return what ``pulumi version`` prints, or "unknown"."""
    try:
        return "\n".join(process.run([str(program), "version"], env={"PULUMI_SKIP_UPDATE_CHECK": "true"}, timeout=20))
    except BakeryError:
        return "unknown"


def numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a version; empty if it has none."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def check_go() -> Check:
    """Report the Go compiler, which only builds the engine. If it is missing, the set-up downloads its own."""
    purpose = "builds the Pulumi engine where its installer can't be reached"
    program = find("go")
    shown = str(program) if program else "not installed; the set-up downloads a pinned version if it has to build"
    return Check("go", Condition.OK, shown, purpose)


def check_spack(spack: SpackSettings) -> Check:
    """Check the source of Spack, which only recipes with an environment need."""
    purpose = "installs the environments of recipes that have an env/spack.yaml"
    source = spack.source
    if not source:
        fix = "pulumi config set --path 'image-bakery:spack.source' <git url, folder or archive>"
        return Check("spack", Condition.WARNING, "no source is set", purpose, fix)
    if "://" not in source and not source.startswith("git@") and not Path(source).expanduser().exists():
        fix = "correct image-bakery:spack.source"
        return Check("spack", Condition.MISSING, redacted(f"{source} does not exist"), purpose, fix)
    return Check("spack", Condition.OK, redacted(f"{source} {spack.ref}".strip()), purpose)
