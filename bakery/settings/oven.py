"""The values of the setting ``oven``, each with the facts about it that settings and plans need."""

from __future__ import annotations

from enum import StrEnum

from bakery.settings.google import Bucket


class Place(StrEnum):
    """Where base images come from: a family locally is another image than the same family on Google Cloud.

    ``takes_local_bases`` is whether the setting ``local.bases`` adds to them.
    """

    takes_local_bases: bool

    LOCAL = "local", True
    GOOGLE = "google"

    def __new__(cls, value: str, takes_local_bases: bool = False) -> Place:
        """Return the member for ``value``, with its facts."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.takes_local_bases = takes_local_bases
        return member


class OvenKind(StrEnum):
    """The back end of a stack; :mod:`bakery.backends` has the implementation of each.

    ``bases`` is the part of the lock file with its base images, ``secret_sources`` are where bakes can take secrets
    from, see :mod:`bakery.plan.secret_sources`, ``required`` are the settings without which it cannot work,
    ``spack_bucket`` is where its bakes keep Spack packages if the settings name no other cache. Images and test
    machines that are ``in_project`` belong to ``google.project``; elsewhere images of the same digest share a file.
    """

    bases: Place
    secret_sources: tuple[str, ...]
    required: tuple[str, ...]
    spack_bucket: Bucket | None
    in_project: bool

    LOCAL = "local", Place.LOCAL, ("file", "environment")
    CLOUD_BUILD = (
        *("cloud-build", Place.GOOGLE, ("secretManager",)),
        *(("google.project", "google.region"), Bucket.SPACK_CACHE, True),
    )
    FAKE = "fake", Place.LOCAL

    def __new__(  # noqa: PLR0917  members are tuples
        cls,
        value: str,
        bases: Place,
        secret_sources: tuple[str, ...] = (),
        required: tuple[str, ...] = (),
        spack_bucket: Bucket | None = None,
        in_project: bool = False,
    ) -> OvenKind:
        """Return the member for ``value``, with its facts."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.bases, member.secret_sources, member.required = bases, secret_sources, required
        member.spack_bucket, member.in_project = spack_bucket, in_project
        return member
