"""Checks settings that name families, images and partitions of the plan. Plan, preview and ``up`` refuse the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bakery.errors import Problem, Severity
from bakery.plan.summary import ImageSummary
from bakery.preview.model import channel_family
from bakery.preview.snapshot import LibrarySnapshot
from bakery.preview.targets import families_of, hours, pin_faults, staged
from bakery.recipe.image_names import family_fault
from bakery.settings import Settings
from bakery.settings.cluster import ClusterSettings
from bakery.settings.retention import EVERY_FAMILY

if TYPE_CHECKING:
    from bakery.library.base import ImageRecord

Faults = Iterator[tuple[str, str]]  # what is wrong, and what to do


def check(settings: Settings, planned: Sequence[ImageSummary], held: LibrarySnapshot | None) -> tuple[Problem, ...]:
    """Return a problem for each pin that an ``up`` cannot honour, and for wrong approvals, channels and so on.

    Without ``held``, a library that could be read, only the families of pins are checked, not their images.
    """
    families = families_of(settings, planned)
    faults = [
        *_wrong_pins(settings, families, held),
        *_wrong_patterns(settings, families),
        *_wrong_roll_outs(settings, planned, families),
        *_wrong_channels(settings, {image.family for image in planned}),
        *wrong_cluster(settings.cluster, {image.family for image in planned}),
    ]
    return as_problems(settings, faults)


def as_problems(
    settings: Settings, faults: Iterable[tuple[str, str]], severity: Severity = Severity.ERROR
) -> tuple[Problem, ...]:
    """Return a problem in the stack's file for each fault."""
    return tuple(Problem(settings.file, 1, f"{settings.namespace}:{fault}", hint, severity) for fault, hint in faults)


def _wrong_pins(settings: Settings, families: Mapping[str, ImageSummary], held: LibrarySnapshot | None) -> Faults:
    for family, image in sorted(settings.pins.items()):
        if held is not None or family not in families:
            for fault, hint in pin_faults(family, image, families, held or LibrarySnapshot()):
                yield f"pins.{family}: {fault}", hint


def _wrong_patterns(settings: Settings, families: Collection[str]) -> Faults:
    copies = ((f"google.copies.{project}", one.families) for project, one in settings.google.copies.items())
    for setting, patterns in (("approval", settings.approval), ("rollout", settings.rollout), *copies):
        use = "use one of" if setting == "rollout" else "use * or one of"
        for pattern in patterns:
            if not any(fnmatchcase(family, pattern) for family in families):
                yield f"{setting}: no family of the plan matches {pattern!r}", f"{use}: {', '.join(sorted(families))}"


def _wrong_roll_outs(
    settings: Settings, planned: Sequence[ImageSummary], families: Mapping[str, ImageSummary]
) -> Faults:
    first = {image.family for family, image in families.items() if not hours(settings, family)}
    for family in sorted({image.family for image in planned} - first):
        yield f"rollout: no family goes before {family}", "leave its family or a channel of it out of rollout"
    channels = [family for family, image in families.items() if family != image.family]
    for pattern, rule in settings.rollout.items():
        if rule.first and not any(fnmatchcase(family, pattern) for family in channels):
            hint = "give the family a channel in channels, and use a pattern of it"
            yield f"rollout.{pattern}: first is for partitions that use a channel, and no channel matches", hint
    yield from wrong_partitions(settings, planned)


def wrong_partitions(settings: Settings, planned: Sequence[ImageSummary]) -> Faults:
    """Yield what is wrong with the partitions that go first in staged roll-outs: those that a family does not have."""
    known = {image.family: image.partitions for image in planned}
    for family, (_, first) in staged(settings, planned).items():
        for name in first:
            if name not in known[family]:
                yield f"rollout: there is no partition {name}", f"use one of: {', '.join(known[family])}"


def wrong_cluster(cluster: ClusterSettings, families: Collection[str]) -> Faults:
    """Yield what is wrong with the settings of the cluster: families that the plan does not have, and its Slurm."""
    known = ", ".join(sorted(families))
    for setting, family in (("controller", cluster.controller), ("login", cluster.login)):
        if family and family not in families:
            yield f"cluster.{setting}: the plan has no family {family}", f"use one of: {known}"
    for pattern in cluster.partitions:
        if not any(fnmatchcase(family, pattern) for family in families):
            yield f"cluster.partitions: no family of the plan matches {pattern!r}", f"use * or one of: {known}"
    if cluster.slurm:
        from bakery.preview.software_fit import release  # not needed without it

        if release(cluster.slurm) is None:
            hint = "write what slurmctld -V prints in that cluster"
            yield f"cluster.slurm: {cluster.slurm} is not a release of Slurm", hint


def wrong_rules(settings: Settings, planned: Sequence[ImageSummary], images: Iterable[ImageRecord]) -> Faults:
    """Yield what is wrong with the rules of retention: those of families that neither plan nor library have."""
    of_library = {family for image in images for family in (image.candidate_for, image.family) if family}
    known = {*families_of(settings, planned), *of_library}
    for family in sorted(settings.retention.keys() - {EVERY_FAMILY, *known}):
        from difflib import get_close_matches  # needed for this error only

        close = get_close_matches(family, known) or sorted(known)
        hint = f"use one of: {', '.join(close)}; or remove the rule"
        yield f"retention.{family}: neither the plan nor the library has such a family", hint


def _wrong_channels(settings: Settings, families: Collection[str]) -> Faults:
    for channel, patterns in settings.channels.items():
        if not channel.isalnum():  # so that every name of a channel belongs to one family
            yield f"channels.{channel}: invalid name of a channel", "use lower-case letters and digits"
            continue
        for pattern in patterns:
            fitting = [family for family in families if fnmatchcase(family, pattern)]
            if not fitting:
                hint = f"use * or one of: {', '.join(sorted(families))}"
                yield f"channels.{channel}: no family of the plan matches {pattern!r}", hint
            for name in sorted(channel_family(family, channel) for family in fitting):
                if name in families:
                    yield f"channels.{channel}: a recipe makes the family {name}", "use another name for the channel"
                elif fault := family_fault(name):
                    yield f"channels.{channel}: {fault[0]}", fault[1]
