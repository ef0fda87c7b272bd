"""The plan as a comment on a pull request: changes first, the rest folded, within GitHub's limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bakery.preview.model import given_up
from bakery.report.plan import ACTIONS, bases, duration, summary, timing

LIMIT = 61_000  # characters: a comment on GitHub has 65,536 at most, and workflows write something before the plan
MARK = "<!-- image-bakery plan -->"  # the workflow finds its comment by this mark
CUT = "\n_Cut here: a comment has a maximum length. Run `bakery plan` for the whole plan._\n"
# Number of reasons per image and characters per reason; the first pair with which everything fits is used.
DETAIL = ((5, 200), (2, 100), (1, 60), (0, 0))
CELL = 200  # characters of any other cell


def render(report: Mapping[str, Any], limit: int = LIMIT) -> str:
    """Return the comment for the JSON report: at most ``limit`` characters, with less detail if necessary."""
    for reasons, length in DETAIL:
        page = _page(report, limit, reasons, length)
        if not page.cut:
            break
    return page.text()


def _page(report: Mapping[str, Any], limit: int, reasons: int, length: int) -> _Page:
    images = report["images"]
    changed = [image for image in images if image["action"] != "keep"]
    kept = [image for image in images if image["action"] == "keep"]
    errors = [entry for entry in report["problems"] if entry["severity"] == "error"]
    warnings = [entry for entry in report["problems"] if entry["severity"] != "error"]
    head = [MARK, f"### {_cell(summary(report))}", ""]
    time = timing(report)
    if time:
        head += [_cell(time[0].upper() + time[1:]) + ".", ""]
    page = _Page(limit)
    page.add(head)
    page.section(_problem(entry) for entry in errors)
    page.section(f"- {_cell(given_up(*entry))}" for entry in report.get("given_up", {}).items())
    page.section(_rows(changed, reasons, length), before=("| image | | why |", "|---|---|---|") if changed else ())
    page.section(f"- {_cell(one['text'])}" for key in ("channels", "copies") for one in report.get(key, ()))
    page.section(f"- {_cell(line)}" for line in bases(report))
    page.folded(f"{len(kept)} kept", [_kept(image) for image in kept])
    page.folded(f"{len(warnings)} warnings", [_problem(entry) for entry in warnings])
    return page


class _Page:
    """Lines up to a limit; a last line reports that lines were left out."""

    def __init__(self, limit: int) -> None:
        self.room = limit - len(CUT)
        self.lines: list[str] = []
        self.cut = False

    def add(self, lines: Sequence[str], reserve: int = 0) -> bool:
        """Add all of the lines or none; return whether they fitted."""
        size = sum(len(line) + 1 for line in lines)
        self.cut = self.cut or size + reserve > self.room
        if not self.cut:
            self.lines += lines
            self.room -= size
        return not self.cut

    def section(self, lines: Iterable[str], before: Sequence[str] = ()) -> None:
        """Add lines one by one, followed by an empty one."""
        count = len(self.lines)
        if before:
            self.add(before)
        for line in lines:
            if not self.add([line], reserve=1):
                break
        if len(self.lines) > count:
            self.lines.append("")
            self.room -= 1

    def folded(self, title: str, lines: Sequence[str]) -> None:
        """Add lines below a title that unfolds them; the element is closed even if lines are left out."""
        end = ["", "</details>", ""]
        reserve = sum(len(line) + 1 for line in end)
        if not lines or not self.add([f"<details><summary>{title}</summary>", ""], reserve):
            return
        for line in lines:
            if not self.add([line], reserve):
                break
        self.lines += end
        self.room -= reserve

    def text(self) -> str:
        return "\n".join(self.lines) + (CUT if self.cut else "\n")


def _rows(images: Sequence[Mapping[str, Any]], most: int, length: int) -> Iterable[str]:
    for image in images:
        reasons = [_cell(reason, length) for reason in image["reasons"][:most]]
        left = len(image["reasons"]) - most
        why = "<br>".join([*reasons, *([f"and {left} more"] if left > 0 and most else [])])
        took = f" ({duration(image['seconds'])})" if image["seconds"] and image["action"] == "bake" else ""
        yield f"| `{_code(image['name'])}` | {ACTIONS[image['action']]}{took} | {why} |"


def _kept(image: Mapping[str, Any]) -> str:
    return f"- `{_code(image['name'])}`" + "".join(f"; {_cell(reason)}" for reason in image["reasons"])


def _problem(entry: Mapping[str, Any]) -> str:
    hint = f" _{_cell(entry['hint'])}_" if entry["hint"] else ""
    return f"- **{entry['severity']}** `{_code(entry['file'])}:{entry['line']}`: {_cell(entry['message'])}{hint}"


def _cell(text: str, length: int = CELL) -> str:
    """Return text without effect in Markdown: no table, markup, mention or line end can come from a recipe."""
    flat = " ".join(text.split())
    flat = flat if len(flat) <= length else flat[: length - 1] + "…"
    for char in "\\*_[]#~":
        flat = flat.replace(char, "\\" + char)
    for char, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;"), ("`", "&#96;"), ("@", "&#64;")):
        flat = flat.replace(char, safe)
    return flat


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").replace("|", "/").split())
