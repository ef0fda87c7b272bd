from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.errors import Problem, Severity
from bakery.lock.model import Lock, LockedBase
from bakery.plan.plan import make
from bakery.preview.decide import decide
from bakery.preview.model import Action, Channel, Copy, Decision, Target
from bakery.report import plan as reports
from bakery.report import plan_markdown, plan_table
from bakery.settings import Place
from tests.support.every import every
from tests.support.plan_builders import LOCK, recipe, recipes, settings

PLAN = make(settings(), recipes(recipe("base"), recipe("app", "base")), LOCK)
PROBLEM = Problem("packages/app/packer.json", 3, "variable x is not used", "take it away", Severity.WARNING)
SCHEMA = json.loads(files("bakery.report").joinpath("schemas/plan.schema.json").read_text())


def report(**changes: Any) -> dict[str, Any]:
    decisions = decide(PLAN.images, [], {})
    return reports.to_json(reports.PlanReport(decisions, (PROBLEM,), {"base": 100.0, "app": 61.5}, **changes))


def kept(count: int) -> tuple[Decision, ...]:
    image = PLAN.images[0]
    return tuple(Decision(replace(image, name=f"{image.name}-{n}"), Action.KEEP) for n in range(count))


def baked(count: int, reason: str) -> tuple[Decision, ...]:
    image = PLAN.images[1]
    return tuple(Decision(replace(image, name=f"{image.name}-{n}"), Action.BAKE, (reason,) * 9) for n in range(count))


def test_the_json_is_as_its_schema_says() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(report(), SCHEMA)
    jsonschema.validate(reports.to_json(reports.PlanReport(())), SCHEMA)


def test_copies_are_told_in_every_form() -> None:
    kept = Copy("base@q", "base", "q", "base-1", Action.KEEP)
    content = report(copies=(Copy("app@q", "app", "q", "app-1", Action.ADOPT), kept))
    jsonschema.validate(content, SCHEMA)
    assert reports.summary(content).endswith("1 copy made")
    assert "app@q will point at a copy of app-1\nbase@q points at base-1" in plan_table.render(content)
    assert "- app&#64;q will point at a copy of app-1" in plan_markdown.render(content)


def test_a_cloud_image_is_named_with_its_version_and_address() -> None:
    origin = "https://cloud-images.example/a_b.img"
    locked = LockedBase("ubuntu-22-04-20261004", "sha256:1", origin=origin)
    plan = make(settings(), recipes(recipe("app")), Lock({Place.LOCAL: {"debian-cloud/debian-12": locked}}))
    content = reports.to_json(reports.PlanReport(decide(plan.images, [], {})))
    jsonschema.validate(content, SCHEMA)
    assert content["images"][0]["base"]["origin"] == origin
    line = f"base debian-cloud/debian-12: ubuntu-22-04-20261004, from {origin}"
    assert reports.bases(content) == [line]
    assert line in plan_table.render(content)
    assert "a\\_b.img" in plan_markdown.render(content)


@pytest.mark.parametrize(
    ("identity", "whence"),
    [("id:7", "from Compute Engine"), ("unlocked:p/f", "which is not locked"), ("other:1", "from bakery.lock")],
)
def test_each_base_is_said_to_be_from_somewhere(identity: str, whence: str) -> None:
    image = replace(PLAN.images[0], base=PLAN.images[0].base._replace(digest=identity))
    baked_and_kept = [Decision(image, Action.BAKE), Decision(PLAN.images[0], Action.KEEP)]
    content = reports.to_json(reports.PlanReport(tuple(baked_and_kept)))
    assert reports.bases(content) == [f"base debian-cloud/debian-12: debian-12-20300101, {whence}"]


PINNED = (Target("app-1", "pinned to app-1"), "pinned")
WAITS = (Target("", "waits for approval", "approval"), "waits")


@pytest.mark.parametrize("action", [Action.KEEP, Action.ADOPT, Action.BAKE])
@pytest.mark.parametrize(("target", "key"), [PINNED, WAITS], ids=["pin", "approval"])
def test_a_pin_and_an_approval_are_said_in_every_format(action: Action, target: Target, key: str) -> None:
    content = reports.to_json(reports.PlanReport((Decision(PLAN.images[1], action, (target.why,), target),)))
    jsonschema.validate(content, SCHEMA)
    assert content["images"][0].keys() & {"pinned", "waits"} == {key}
    assert target.why in plan_table.render(content)
    assert target.why in plan_markdown.render(content)
    assert not report()["images"][0].keys() & {"pinned", "waits"}


def test_a_family_that_is_given_up_is_said_in_every_format() -> None:
    content = report(given_up={"old": "old-0123"})
    jsonschema.validate(content, SCHEMA)
    assert content["given_up"] == {"old": "old-0123"}
    text = (
        "old will point at nothing (now: old-0123): no package or channel of the plan makes it; "
        "if an up leaves it: bakery recover --withdraw old"
    )
    assert text in plan_table.render(content)
    assert text in plan_markdown.render(content)
    assert reports.summary(content) == "2 images: 2 baked, 1 family given up"
    assert reports.summary(report(given_up={"a": "a-1", "b": "b-1"})).endswith("2 families given up")


def test_a_channel_is_said_in_every_format() -> None:
    moves = Channel("app-stable", "app", "app-2", "app-stable-2", Action.ADOPT, ("made from app-2",))
    stays = Channel("app-next", "app", "", "", Action.KEEP, ("waits for approval: bakery approve app-next",))
    content = report(channels=(moves, stays))
    jsonschema.validate(content, SCHEMA)
    texts = (
        "channel app-stable will point at app-stable-2; made from app-2",
        "channel app-next points at nothing; waits for approval: bakery approve app-next",
    )
    assert [channel["text"] for channel in content["channels"]] == [*texts]
    assert every(text in plan_table.render(content) and text in plan_markdown.render(content) for text in texts)
    assert reports.summary(content) == "2 images: 2 baked, 1 channel moved"


@pytest.mark.parametrize("key", ["package", "variant", "family", "name", "digest", "parent", "action", "reasons"])
def test_the_schema_misses_nothing(key: str) -> None:
    broken = report()
    del broken["images"][0][key]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, SCHEMA)


def test_images_stand_in_graph_order_with_parent_and_reasons() -> None:
    found = report()
    assert [(image["family"], image["parent"], image["action"]) for image in found["images"]] == [
        ("base", "", "bake"),
        ("app", "base", "bake"),
    ]
    assert found["images"][0]["reasons"] == ["base has no image yet"]
    assert found["problems"] == [
        {
            "severity": "warning",
            "file": "packages/app/packer.json",
            "line": 3,
            "message": "variable x is not used",
            "hint": "take it away",
        }
    ]
    assert found["forecast"]["critical_path"] == ["base", "app"]


def test_summary_and_timing() -> None:
    assert reports.summary(report()) == "2 images: 2 baked"
    assert reports.timing(report()) == "bakes take 2 min 42 s in total, 2 min 42 s on the critical path (base -> app)"
    assert reports.summary({"images": []}) == "0 images: nothing to do"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (61, "1 min 01 s"), (7500, "2 h 05 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert reports.duration(seconds) == text


def comment(decisions: tuple[Decision, ...], *problems: Problem) -> str:
    return plan_markdown.render(reports.to_json(reports.PlanReport(decisions, problems)))


def test_a_comment_has_changes_first_and_the_rest_folded() -> None:
    text = comment((*kept(2), *baked(1, "x changed")), PROBLEM)
    assert text.startswith(plan_markdown.MARK)
    assert text.index("x changed") < text.index("<details><summary>2 kept") < text.index("<details><summary>1 warnings")
    assert text.count("<details>") == text.count("</details>") == 2
    assert "and 4 more" in text
    assert "Cut here" not in text


@pytest.mark.parametrize(
    "decisions",
    [
        lambda: kept(20_000),
        lambda: baked(5_000, "packages/app/" + "x" * 300 + " changed"),
        lambda: (*baked(200, "y" * 150), *kept(3_000)),
    ],
    ids=["decisions0", "decisions1", "decisions2"],
)
def test_a_comment_is_never_too_long_and_says_that_it_is_cut(decisions: Callable[[], tuple[Decision, ...]]) -> None:
    text = comment(decisions())
    assert 60_000 < len(text) <= plan_markdown.LIMIT
    assert "Cut here" in text
    assert text.count("<details>") == text.count("</details>")


@given(st.text(min_size=1), st.integers(400, 3000))
def test_no_text_breaks_out_of_its_cell(text: str, limit: int) -> None:
    found = reports.to_json(reports.PlanReport(baked(3, text), (Problem(text, 1, text, text),)))
    page = plan_markdown.render(found, limit)
    assert len(page) <= limit
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows or "Cut here" in page, "without room for a row it says so"
    assert [row for row in rows if row.count("|") != 4] == []
    assert "<script" not in page.lower()


def test_markup_and_mentions_stay_text() -> None:
    text = comment(baked(1, "<img src=x> @everyone [a](b) `c` | d"))
    assert "<img" not in text
    assert "@everyone" not in text
    assert "[a](b)" not in text


def test_with_much_to_say_every_changed_image_is_named() -> None:
    text = comment((*baked(1000, "packages/app/" + "x" * 300 + " changed"), *kept(5)), PROBLEM)
    assert len(text) <= plan_markdown.LIMIT
    assert text.count("| baked |") == 1000
    assert "Cut here" not in text
    assert text.index("| baked |") < text.index("<summary>5 kept")


def test_the_table_shows_every_image_in_whole_lines() -> None:
    lines = plan_table.render(report()).splitlines()
    assert lines[0].split() == ["image", "from", "last", "bake", "why"]
    assert [line.split("  ")[0] for line in lines[1:3]] == [image.name for image in PLAN.images]
    assert lines[1].endswith("base has no image yet")
    base = "base debian-cloud/debian-12: debian-12-20300101, from the Debian archive"
    assert lines[3:] == [base, reports.summary(report()), reports.timing(report())]
    several = plan_table.render(reports.to_json(reports.PlanReport(baked(1, "x" * 500))))
    assert several.count("x" * 500) == 9
    assert plan_table.render(reports.to_json(reports.PlanReport(()))) == "0 images: nothing to do\n"


def test_the_tables_colours_are_only_there_when_asked_for_and_no_recipe_sets_them() -> None:
    found = reports.to_json(reports.PlanReport(baked(1, "\033[31mred\nline")))
    assert "\033" not in plan_table.render(found)
    assert len(plan_table.render(found).splitlines()) == 1 + 9 + 2
    coloured = plan_table.render(found, colour=True)
    assert coloured.count("\033[33m") == 9
    assert "\033[31m" not in coloured
