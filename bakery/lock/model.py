"""The lock: which image an external family stood for when it was looked up, so that a plan needs no network.

Reading and writing ``bakery.lock`` is in :mod:`bakery.lock.file`, asking the outside in
:mod:`bakery.lock.resolve`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from bakery.settings import Place


class LockedBase(NamedTuple):
    """What a family was resolved to.

    ``name`` is the image's name, ``identity`` what tells it from every other one (Compute Engine: ``id:<image id>``;
    a Debian release: ``inrelease:<sha256 of the archive's signed InRelease file>``). ``resolved`` is when, RFC 3339 in
    UTC. ``origin`` is where a cloud image comes from: an address, or a path from the checkout; its identity is
    ``sha256:<hex>`` or ``sha512:<hex>`` of that file.
    """

    name: str
    identity: str
    resolved: str = ""
    origin: str = ""


class Lock(NamedTuple):
    """All locked bases: place, then ``<project>/<family>``, then what was found."""

    bases: Mapping[Place, Mapping[str, LockedBase]] = MappingProxyType({})

    def find(self, place: Place, project: str, family: str) -> LockedBase | None:
        """Return the locked base; None if the lock has no such family."""
        return self.bases.get(place, {}).get(f"{project}/{family}")

    def put(self, place: Place, project: str, family: str, base: LockedBase) -> Lock:
        """Return a lock that has this base too."""
        return Lock({**self.bases, place: {**self.bases.get(place, {}), f"{project}/{family}": base}})


class Resolver(Protocol):
    """Asks the outside which image a family stands for now."""

    def resolve(self, family: str, project: str) -> LockedBase:
        """Return the newest image of a family. Raises InputError if there is none, Uncertain without an answer."""
