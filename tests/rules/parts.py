"""The parts of ``bakery/`` from the ground up, each with the parts that it may import.

A part is a module or a folder directly below ``bakery/``. It may import itself and the parts named here, all of which
are above it in this table, so nothing imports upwards and no two parts import each other.
"""

from __future__ import annotations

WORDS = (
    "version",
    "redaction",
    "errors",
    "codec",
    "paths",
    "progress",
    "yaml_cache",
)  # small values that every other part may use

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "version": (),
    "redaction": (),
    "errors": ("redaction",),
    "codec": (),
    "paths": (),
    "progress": ("errors",),
    "yaml_cache": ("paths",),
    "settings": ("redaction", "errors", "yaml_cache"),
    "host": (*WORDS, "settings"),
    "recipe": (*WORDS, "settings", "host"),
    "lock": (*WORDS, "settings", "host", "recipe"),
    "results": (*WORDS, "recipe", "host"),
    "plan": (*WORDS, "settings", "recipe", "lock"),
    "orders": (*WORDS, "host", "recipe", "plan"),
    "library": (*WORDS, "settings", "host", "recipe", "results", "plan"),
    "infrastructure": (*WORDS, "settings", "host", "results", "plan"),
    "ovens": (*WORDS, "settings", "host", "recipe", "plan", "orders", "library"),
    "fluid_run": (*WORDS, "settings", "host", "recipe", "results", "orders", "library"),
    "preview": (*WORDS, "settings", "host", "recipe", "lock", "plan", "orders", "library"),
    "backends": (
        *(*WORDS, "settings", "host", "lock", "results", "plan", "orders", "library", "infrastructure", "ovens"),
        "fluid_run",
    ),
    "resources": (
        *(*WORDS, "settings", "host", "recipe", "results", "plan", "orders", "library", "ovens", "fluid_run"),
        *("preview", "backends"),
    ),
    "operations": (
        *(*WORDS, "settings", "host", "recipe", "lock", "results", "plan", "orders", "library"),
        *("ovens", "fluid_run", "preview", "backends"),
    ),
    "report": (*WORDS, "recipe", "results", "plan", "library", "preview", "backends", "operations"),
    "cli": (*WORDS, "settings", "host", "results", "preview", "backends", "operations", "report"),
    "rcc_run": (*WORDS, "settings", "host", "recipe", "results", "orders", "library", "fluid_run", "cli"),
    "program": (*WORDS, "settings", "host", "recipe", "lock", "plan", "resources"),
    "__main__": ("program",),
}


def part_of(module: str) -> str:
    """The part of a module: ``bakery.plan.model`` belongs to ``plan``; the package ``bakery`` itself to none."""
    inside = module.startswith("bakery.") and module != "bakery.__main__"  # the part of this name is the checkout's
    return module.split(".")[1] if inside else module
