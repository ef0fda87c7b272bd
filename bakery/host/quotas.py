"""The quotas of a region and of its project: read before a machine is asked for, and held by what this process does.

Compute Engine says how much of a quota is in use, also by others. What this process is about to use is not in that
number yet, and what it uses is. So the use of others is the least that was seen while this process used nothing, and
what is free is the limit without the greater of both: the others' use and the own, or all that is in use.
Sources: the methods ``compute.regions.get`` and ``compute.projects.get``, which have the limits and what is in use.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from bakery.errors import BakeryError, InfrastructureFailed
from bakery.host.google import Google, api_errors
from bakery.progress.activity import Activity

READ_SECONDS = 20.0  # between two readings
LOOK_SECONDS = 5.0
PATIENCE_SECONDS = 600.0  # for what others use, as machines that are being deleted
MORE = "ask for more quota of the region"

Count = Callable[[Collection[str]], Mapping[str, int]]  # what is needed, by the metrics whose limit is not 0


class Quota(NamedTuple):
    """The limit of one metric, and how much of it is in use."""

    limit: float
    usage: float

    @property
    def free(self) -> float:
        """What is left."""
        return self.limit - self.usage


Limits = Mapping[str, Quota]  # by metric


def read(google: Google, region: str) -> Limits:
    """Return the quotas of a region and those of its project. Raises BakeryError."""
    with api_errors(f"read the quotas of {region}"):
        found = [
            *google.read_compute("", fields="quotas").get("quotas", ()),
            *google.read_compute(f"regions/{region}", fields="quotas").get("quotas", ()),
        ]
    return {one["metric"]: Quota(one.get("limit", 0.0), one.get("usage", 0.0)) for one in found if "metric" in one}


def granted(limits: Limits) -> Collection[str]:
    """Return the metrics of which there is any."""
    return {metric for metric, quota in limits.items() if quota.limit}


def exceeded(limits: Limits, needs: Mapping[str, int]) -> list[str]:
    """Return a text for each limit that is too low for the needs, whatever else is in use."""
    short = ((metric, need, limits[metric].limit) for metric, need in needs.items() if metric in limits)
    return [f"{need} {metric} of at most {limit:.0f}" for metric, need, limit in short if need > limit]


class QuotaUse:
    """What this process uses of the quotas of a project. Safe among threads."""

    def __init__(self, google: Google, clock: Callable[[], float] = time.monotonic) -> None:
        self._google = google
        self._clock = clock
        self._lock = threading.Lock()
        self._limits: dict[str, tuple[float, Limits]] = {}  # of each region, and when they were read
        self._others: dict[tuple[str, str], float] = {}  # by region and metric
        self._held: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def held(self, zone: str, count: Count, what: str, activity: Activity) -> Iterator[None]:
        """Wait until there is enough quota for ``what``, and count it as used inside the block.

        Nothing is held back if the quotas can't be read. Raises BakeryError if a limit is too low, whatever else is in
        use, InfrastructureFailed if others leave too little for ten minutes, and Interrupted.
        """
        region = zone.rpartition("-")[0]
        mine = self._enter(region, count, what, activity)
        try:
            yield
        finally:
            with self._lock:
                self._held.subtract(mine)

    def _enter(self, region: str, count: Count, what: str, activity: Activity) -> Counter[tuple[str, str]]:
        alone_since = self._clock()
        while True:
            with self._lock:
                limits = self._read(region)
                needs = count(granted(limits))
                if over := exceeded(limits, needs):
                    raise BakeryError(f"{what} needs {', '.join(over)} in {region}", hint=f"{MORE}, or need less")
                short = self._short(region, limits, needs)
                if not short:
                    mine = Counter({(region, metric): need for metric, need in needs.items()})
                    self._held.update(mine)
                    return mine
                if +self._held:
                    alone_since = self._clock()
            if self._clock() - alone_since > PATIENCE_SECONDS:
                raise InfrastructureFailed(f"{what} needs {short} in {region}", hint=f"end what uses it, or {MORE}")
            activity.say(f"waiting for quota: {short}")
            activity.sleep(LOOK_SECONDS)

    def _short(self, region: str, limits: Limits, needs: Mapping[str, int]) -> str:
        """Return the first metric of which too little is free, in words; "" if all fit."""
        for metric, need in needs.items():
            if metric in limits:
                quota, held = limits[metric], self._held[region, metric]
                others = self._others.get((region, metric), 0.0)
                free = quota.limit - max(others + held, quota.usage)
                if need > free:
                    return f"{need} {metric}, of which {max(free, 0):.0f} of {quota.limit:.0f} are free"
        return ""

    def _read(self, region: str) -> Limits:
        """Return the quotas, at most some seconds old; none if they can't be read: then Google decides."""
        at, limits = self._limits.get(region, (-READ_SECONDS, {}))
        if self._clock() - at < READ_SECONDS:
            return limits
        try:
            limits = read(self._google, region)
        except BakeryError:
            limits = {}
        self._limits[region] = (self._clock(), limits)
        for metric, quota in limits.items():
            known = self._others.get((region, metric), quota.usage)
            self._others[region, metric] = min(known, quota.usage)
        return limits
