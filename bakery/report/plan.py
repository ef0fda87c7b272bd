"""The plan as JSON (``schemas/plan.schema.json``), from which all other formats are rendered."""

from collections.abc import Mapping, Sequence
from typing import Any

from bakery.codec import encode
from bakery.errors import Problem
from bakery.plan.summary import Base, Taken
from bakery.preview.model import DONE, Action, Channel, Copy, Decision, Target
from bakery.preview.plan_report import PlanReport

VERSION = 1
ACTIONS = {action.value: word for action, word in DONE.items()}


def to_json(report: PlanReport) -> dict[str, Any]:
    """Return the report as a JSON object."""
    return {
        "version": VERSION,
        "images": [_image(decision, report.times) for decision in report.decisions],
        "problems": [problem(entry) for entry in report.problems],
        "forecast": encode(report.forecast),
        "given_up": dict(report.given_up),
        "channels": [_in_words(one) for one in report.channels],
        "copies": [_in_words(one) for one in report.copies],
    } | ({"since": report.since} if report.since else {})


def _image(decision: Decision, times: Mapping[str, float]) -> dict[str, Any]:
    image = decision.image
    base = {"family": image.base.family, "name": image.base.name, "digest": image.base.digest}
    more = (_target(decision.target) if decision.target else {}) | (_taken(image.taken) if image.taken else {})
    return {
        "package": image.package,
        "variant": image.variant,
        "family": image.family,
        "name": image.name,
        "digest": image.digest,
        "parent": "" if image.base.external else image.base.family,
        "action": decision.action.value,
        "reasons": list(decision.reasons),
        "base": base | {"project": image.base.project} | ({"origin": image.base.origin} if image.base.origin else {}),
        "seconds": times.get(image.family),
        "tests": image.tests_digest,
    } | more


def _in_words(entry: Channel | Copy) -> dict[str, Any]:
    return {**encode(entry), "text": str(entry)}


def _target(target: Target) -> dict[str, str]:
    return {"waits": target.waits} if target.waits else {"pinned": target.image}


def _taken(taken: Taken) -> dict[str, Any]:
    return {"taken": {"stack": taken.stack, "image": taken.name, "text": taken.words}}


def problem(entry: Problem) -> dict[str, Any]:
    """Return a problem as a JSON object."""
    return {
        "severity": entry.severity.value,
        "file": entry.file,
        "line": entry.line,
        "message": entry.message,
        "hint": entry.hint,
    }


def summary(report: Mapping[str, Any]) -> str:
    """Return one line with the number of images and of actions."""
    count = {word: sum(image["action"] == action for image in report["images"]) for action, word in ACTIONS.items()}
    parts = [f"{count[word]} {word}" for word in ("baked", "tested only", "adopted", "kept") if count[word]]
    if gone := len(report.get("given_up", ())):
        parts.append(f"{gone} famil{'y' if gone == 1 else 'ies'} given up")
    if moved := sum(one["action"] != Action.KEEP for one in report.get("channels", ())):
        parts.append(f"{moved} channel{'' if moved == 1 else 's'} moved")
    if made := sum(one["action"] != Action.KEEP for one in report.get("copies", ())):
        parts.append(f"{made} cop{'y' if made == 1 else 'ies'} made")
    total = len(report["images"])
    since = f" (compared with {report['since']})" if "since" in report else ""
    return f"{total} image{'' if total == 1 else 's'}: " + (", ".join(parts) or "nothing to do") + since


def bases(report: Mapping[str, Any]) -> list[str]:
    """Return a line for each external base image that something is baked from: its version and where it comes from."""
    wanted = [Base(**image["base"]) for image in report["images"] if image["action"] == Action.BAKE]
    return sorted({base.words for base in wanted if base.external})


def duration(seconds: float) -> str:
    """Return seconds in words: ``42 s``, ``3 min 10 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def timing(report: Mapping[str, Any]) -> str:
    """Return one line with the expected time of the bakes; empty if nothing is baked."""
    forecast = report["forecast"]
    unknown: Sequence[str] = forecast["unknown"]
    if not forecast["total"]:
        return "the bake times of these images are unknown" if unknown else ""
    total, critical, path = duration(forecast["total"]), duration(forecast["critical"]), forecast["critical_path"]
    text = f"bakes take {total} in total, {critical} on the critical path ({' -> '.join(path)})"
    return text + (f"; {len(unknown)} bake times are unknown" if unknown else "")
