"""The report of the library fits its schema, and is rendered as a table and as a page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bakery.library.base import ImageRecord, ImageState, Proof
from bakery.library.local.library import LocalLibrary
from bakery.recipe.model import Metric
from bakery.report import html, library, library_table
from bakery.results.json import store_run
from bakery.results.model import Figure, JobResult, RunResult, Stage, Verdict
from bakery.settings import Settings
from tests.support.every import every

SCHEMA = json.loads(files("bakery.report").joinpath("schemas/library.schema.json").read_text(encoding="utf-8"))
HPL = Metric("HPL", "Tflops=(.*)", "GFLOPS", reference=2.0, lower=-0.1)
MISSING = Metric("ping", "x(.*)", "us")


def image(number: int, **fields: Any) -> ImageRecord:
    digest = f"{number:x}".rjust(64, "a")
    given = {"state": ImageState.ACTIVE, "size": 400_000_000, **fields}
    return ImageRecord(f"hpcc-{number}", digest, "hpcc", "", "hpcc", f"2026-01-0{number}T10:20:30Z", **given)


def run(number: int, value: float | None, verdict: Verdict = Verdict.PASSED, **fields: Any) -> RunResult:
    row = {"command_group": "bench", "execution_command": "x", "exit_code": 0, "git_sha": "a", "stdout": "SECRET BULK"}
    figures = (Figure(HPL, value, value is not None and value > 1.8), Figure(MISSING, None, False))
    return RunResult(
        f"run-{number}",
        f"hpcc-{number}",
        "tests",
        verdict,
        f"2026-01-0{number}T11:00:00Z",
        (JobResult(row, figures, verdict is Verdict.PASSED, "<b>slow</b> & bad"),),
        {"provision": 10.0, "run": 20.5},
        **fields,
    )


@pytest.fixture
def report() -> dict[str, Any]:
    return library.build(
        [
            image(1, family="hpcc", state=ImageState.DEPRECATED, replacement="hpcc-2", proof=Proof.PASSED),
            image(2, family="hpcc", proof=Proof.PASSED, parent="rcc-1", bake_seconds=90.0),
            image(3),
        ],
        {"hpcc": "hpcc-2"},
        [run(1, 2.0), run(2, 2.2), run(3, 1.0, Verdict.FAILED, failed_stage=Stage.JUDGE, reason="<HPL> too slow")],
    )


def test_the_report_fits_its_schema(report: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(json.dumps(report)), SCHEMA)


def test_an_empty_library_fits_its_schema_and_says_so() -> None:
    empty = library.build([], {}, [])
    jsonschema.validate(empty, SCHEMA)
    assert library.summary(empty) == "The library is empty."
    assert "The library is empty." in html.render(empty, "2026-01-01T00:00:00Z")


def test_the_schema_notices_a_field_that_nobody_published(report: dict[str, Any]) -> None:
    report["images"][0]["extra"] = 1
    with pytest.raises(jsonschema.ValidationError, match="extra"):
        jsonschema.validate(report, SCHEMA)


def test_the_report_says_when_an_image_was_tested_and_what_came_out(report: dict[str, Any]) -> None:
    promoted = report["images"][1]
    assert (promoted["promoted"], promoted["tested"], promoted["verdict"]) == (True, "2026-01-02T11:00:00Z", "passed")
    assert [(figure["name"], figure["value"]) for figure in promoted["figures"]] == [("HPL", 2.2), ("ping", None)]
    assert [found["promoted"] for found in report["images"]] == [False, True, False]


def test_the_last_run_of_an_image_counts() -> None:
    first, again = run(1, 2.0), replace(run(1, 3.0), run_id="run-0", started="2026-02-01T00:00:00Z")
    (found,) = library.build([image(1)], {}, [again, first])["images"]
    assert (found["tested"], found["figures"][0]["value"]) == ("2026-02-01T00:00:00Z", 3.0)


def test_outputs_of_jobs_stay_out_of_the_report(report: dict[str, Any]) -> None:
    assert "SECRET BULK" not in json.dumps(report)


def test_trends_compare_the_last_value_with_those_before(report: dict[str, Any]) -> None:
    (trend,) = report["trends"]
    assert [point["value"] for point in trend["points"]] == [2.0, 2.2, 1.0]
    assert trend["change"] == pytest.approx(1.0 / 2.1 - 1.0)


def test_a_first_run_has_no_change() -> None:
    (trend,) = library.build([image(1)], {}, [run(1, 2.0)])["trends"]
    assert trend["change"] is None


def test_the_table_shows_family_image_digest_state_time_and_figures(report: dict[str, Any]) -> None:
    lines = library_table.render(report).splitlines()
    assert lines[0].split() == ["family", "image", "digest", "state", "tested", "figures"]
    assert re.split(r"\s{2,}", lines[1].strip()) == [
        "hpcc",
        "hpcc-2",
        "aaaaaaaaaaaa",
        "ACTIVE",
        "2026-01-02 11:00",
        "HPL 2.2 GFLOPS",
    ]
    assert "candidate" in lines[3]
    assert "2026-01-03 11:00 failed" in lines[3]
    assert "HPL 1 GFLOPS ✗" in lines[3]
    assert lines[-1] == "3 images, 1 family, 3 test runs; 1.2 GB"


class Page(HTMLParser):
    """What a page loads, whether its tags are closed, and whether its tables are rectangular."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.cells: list[list[int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "data", "srcset")]
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        if tag == "table":
            self.cells.append([])
        elif tag == "tr":
            self.cells[-1].append(0)
        elif tag in ("td", "th"):
            self.cells[-1][-1] += 1
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("polyline", "circle"), f"<{tag}/> is not valid in HTML"
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    return page


def test_the_page_is_whole_and_loads_nothing(report: dict[str, Any]) -> None:
    text = html.render(report, "2026-01-05T00:00:00Z")
    page = parsed(text)
    assert text.startswith("<!doctype html>")
    assert page.open == []
    assert page.loads == []
    assert page.tags.count("svg") == 2, "a figure and the bake times"
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "url(" not in text and "@import" not in text
    assert len(page.cells) == 4
    assert every(len(set(rows)) == 1 and len(rows) > 1 for rows in page.cells)
    for name in ("hpcc-1", "hpcc-2", "hpcc-3", "2.2 GFLOPS", "1 min 30 s", "-52.4 %", "judge: "):
        assert name in text


def test_the_page_of_a_single_untested_image_is_whole() -> None:
    text = html.render(library.build([image(1)], {}, []), "2026-01-05T00:00:00Z")
    assert (parsed(text).open, len(parsed(text).cells)) == ([], 1)
    assert "never" in text


def test_the_page_escapes_what_comes_from_outside(report: dict[str, Any]) -> None:
    text = html.render(report, "2026-01-05T00:00:00Z")
    assert "&lt;HPL&gt; too slow" in text
    assert "<HPL>" not in text


def test_no_value_of_a_report_becomes_markup(report: dict[str, Any]) -> None:
    """Every text of the report is replaced by an attack; the page keeps its tags."""
    attack = "</title></td><script>alert(1)</script>\"'&<!--"

    def attacked(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: attacked(one) for key, one in value.items()}
        if isinstance(value, list):
            return [attacked(one) for one in value]
        return attack if isinstance(value, str) else value

    text = html.render(attacked(report), attack)
    assert parsed(text).open == []
    assert "<script" not in text


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [1.0, 5.0, 3.0], [-1.0, 1e9]])
def test_a_trend_is_drawn_inside_its_frame(values: list[float]) -> None:
    places = html.coordinates(values)
    assert len(places) == len(values)
    assert every(0 <= x <= html.WIDTH and 0 <= y <= html.HEIGHT for x, y in places)
    if len(set(values)) > 1:  # higher values stand higher
        best, worst = values.index(max(values)), values.index(min(values))
        assert places[best][1] < places[worst][1]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0012345, "0.001234"), (2.534, "2.534"), (123456.7, "123457"), (3e9, "3e+09")]
)
def test_figures_show_the_digits_that_count(value: float, shown: str) -> None:
    assert library.number(value) == shown


def test_the_report_reads_a_real_library(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    kept = LocalLibrary(make_settings())
    file = tmp_path / "x.qcow2"
    file.write_text("x")
    kept.publish(image(1), file)
    store_run(run(1, 2.0), kept.record_run)
    kept.promote("hpcc-1", "hpcc")
    found = library.report(kept)
    jsonschema.validate(found, SCHEMA)
    assert (found["families"], found["images"][0]["figures"][0]["value"]) == ({"hpcc": "hpcc-1"}, 2.0)
    kept.database.close()


def test_the_table_of_a_real_library_shows_what_its_report_does(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(oven="fake")
    real = LocalLibrary(settings)
    for number in (1, 2):
        file = settings.root / "baked"
        file.write_text(str(number))
        real.publish(image(number), file)
        for again in (0, 3):
            real.record_run(replace(run(number, 2.0 + again), run_id=f"run-{number + again}"))
    real.promote("hpcc-1", "hpcc")
    shown, whole = (library_table.render(of(real)).splitlines() for of in (library.overview, library.report))
    assert shown[:-1] == whole[:-1]
    assert (shown[-1], whole[-1]) == ("2 images, 1 family; 0.0 GB", "2 images, 1 family, 4 test runs; 0.0 GB")
