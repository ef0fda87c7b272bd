"""The library's report as one HTML page, rendered with Jinja2; the page loads nothing from elsewhere."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from bakery.report.library import by_family, figure_text, number, shown_time, state_text, summary
from bakery.report.plan import duration

WIDTH, HEIGHT, MARGIN = 160, 36, 4


def render(report: Mapping[str, Any], made: str) -> str:
    """Return the page; ``made`` is the time of the report (RFC 3339). All values of the report are escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bakery.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        coordinates=coordinates, duration=duration, figure=figure_text, number=number, state=state_text, time=shown_time
    )
    images = by_family(report["images"])
    return environment.get_template("library.html").render(
        report=report,
        summary=summary(report),
        families=[(family, list(group)) for family, group in groupby(images, lambda image: image["candidate_for"])],
        bakes=_bakes(report["images"]),
        made=made,
        width=WIDTH,
        height=HEIGHT,
    )


def _bakes(images: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[float]]]:
    """Return the measured bake times of each family's images in seconds, oldest image first."""
    seconds: dict[str, list[float]] = {}
    for image in images:
        if image["bake_seconds"]:
            seconds.setdefault(image["candidate_for"], []).append(image["bake_seconds"])
    return sorted(seconds.items())


def coordinates(values: Sequence[float]) -> list[tuple[float, float]]:
    """Return the points of a line chart of ``values`` in pixels from the top left corner, oldest value at the left."""
    low, high = min(values), max(values)
    across = (WIDTH - 2 * MARGIN) / max(len(values) - 1, 1)
    up = (HEIGHT - 2 * MARGIN) / (high - low) if high > low else 0.0
    return [
        (round(MARGIN + across * index, 1), round(HEIGHT - MARGIN - up * (value - low), 1) if up else HEIGHT / 2)
        for index, value in enumerate(values)
    ]
