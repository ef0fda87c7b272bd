"""The library as one self-contained HTML page: no script, no font, no image from anywhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from bakery.recipe.image_names import DIGEST_SHOWN
from bakery.report.library import figure_text, number, shown_time, state_text
from bakery.report.library_table import summary

WIDTH, HEIGHT, MARGIN = 160, 36, 4
STYLE = """
:root { color-scheme: light dark; --dim: #777; --line: #8884; --good: #2a8a4a; --bad: #c0392b; --trend: #2f6fb5; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 78rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; }
th { font-weight: 600; } tr + tr td { border-top: 1px solid var(--line); }
code { font-size: .92em; } .dim { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); }
.wide { overflow-x: auto; } svg { display: block; } .figure { white-space: nowrap; }
"""


def render(report: Mapping[str, Any], made: str) -> str:
    """The page; ``made`` is when the report was made (RFC 3339), as it is shown."""
    body = "\n".join(
        (
            "<h1>Image library</h1>",
            f'<p>{escape(summary(report))} <span class="dim">as of {escape(shown_time(made))} UTC</span></p>',
            _families(report),
            _trends(report["trends"]),
            _runs(report["runs"]),
        )
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Image library</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _families(report: Mapping[str, Any]) -> str:
    by_family: dict[str, list[Mapping[str, Any]]] = {}
    for image in reversed(report["images"]):
        by_family.setdefault(image["candidate_for"], []).append(image)
    parts = []
    for family in sorted(by_family):
        images = sorted(by_family[family], key=lambda image: not image["promoted"])
        head = ("image", "digest", "state", "made", "tested", "figures", "from")
        parts.append(f"<h2>{escape(family)}</h2>\n{_table(head, [_image(image) for image in images])}")
    return "\n".join(parts)


def _image(image: Mapping[str, Any]) -> tuple[str, ...]:
    state = state_text(image)
    kind = "good" if state == "ACTIVE" else "dim"
    return (
        f"<code>{escape(image['name'])}</code>",
        f"<code>{escape(image['digest'][:DIGEST_SHOWN])}</code>",
        f'<span class="{kind}">{escape(state)}</span>',
        escape(shown_time(image["created"])),
        _tested(image),
        "<br>".join(_figure(figure) for figure in image["figures"]),
        f"<code>{escape(image['parent'])}</code>" if image["parent"] else "",
    )


def _tested(image: Mapping[str, Any]) -> str:
    if not image["tested"]:
        return '<span class="dim">never</span>'
    return f"{escape(shown_time(image['tested']))} {_verdict(image['verdict'])}"


def _verdict(verdict: str) -> str:
    kind = {"passed": "good", "failed": "bad"}.get(verdict, "dim")
    return f'<span class="{kind}">{escape(verdict)}</span>'


def _figure(figure: Mapping[str, Any]) -> str:
    kind = "figure" if figure["passed"] else "figure bad"
    return f'<span class="{kind}">{escape(figure_text(figure))}</span>'


def _trends(trends: Sequence[Mapping[str, Any]]) -> str:
    if not trends:
        return ""
    rows = [
        (
            escape(trend["family"]),
            escape(trend["job"]),
            escape(trend["name"]),
            svg(trend["points"], f"{trend['name']} of {trend['family']}"),
            f"{number(trend['points'][-1]['value'])} {escape(trend['unit'])}",
            _change(trend["change"]),
        )
        for trend in trends
    ]
    head = ("family", "job", "figure", "over the runs", "last", "against the mean before")
    return f"<h2>Figures over time</h2>\n{_table(head, rows)}"


def _change(change: float | None) -> str:
    return '<span class="dim">first run</span>' if change is None else f"{change:+.1%}"


def svg(points: Sequence[Mapping[str, Any]], title: str) -> str:
    """A line through the values, oldest at the left, the last marked; failed ones are dots of their own."""
    values = [point["value"] for point in points]
    low, high = min(values), max(values)
    across = (WIDTH - 2 * MARGIN) / max(len(values) - 1, 1)
    up = (HEIGHT - 2 * MARGIN) / (high - low) if high > low else 0.0
    places = [
        (MARGIN + across * index, HEIGHT - MARGIN - up * (value - low) if up else HEIGHT / 2)
        for index, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="var(--{"trend" if point["passed"] else "bad"})"/>'
        for index, ((x, y), point) in enumerate(zip(places, points, strict=True))
        if index == len(values) - 1 or not point["passed"]
    )
    words = escape(f"{title}: {', '.join(number(value) for value in values)}")
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{words}</title>'
        f'<polyline points="{line}" fill="none" stroke="var(--trend)" stroke-width="1.5"/>{dots}</svg>'
    )


def _runs(runs: Sequence[Mapping[str, Any]]) -> str:
    if not runs:
        return ""
    rows = [
        (
            escape(shown_time(run["started"])),
            f"<code>{escape(run['image'])}</code>",
            _verdict(run["verdict"]),
            f"{sum(job['passed'] for job in run['jobs'])} of {len(run['jobs'])}",
            f"{sum(run['timings'].values()):.0f} s",
            escape(f"{run['failed_stage']}: {run['reason']}" if run["failed_stage"] else run["reason"]),
        )
        for run in reversed(runs)
    ]
    head = ("began", "image", "verdict", "jobs passed", "took", "why")
    return f"<h2>Test runs</h2>\n{_table(head, rows)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    lines = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table>\n<tr>{titles}</tr>\n{lines}\n</table></div>'
