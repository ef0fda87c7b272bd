"""The rendering of variables and substitutions, which the plan shares with the recipes' checks."""

from __future__ import annotations

from bakery.recipe.render import (
    DEPTH,
    arguments,
    declared,
    dynamic,
    fill,
    is_packer,
    only_reference,
    packer_arguments,
    references,
    resolve,
    strings,
    substitute,
)

__all__ = (
    "DEPTH",
    "arguments",
    "declared",
    "dynamic",
    "fill",
    "is_packer",
    "only_reference",
    "packer_arguments",
    "references",
    "resolve",
    "strings",
    "substitute",
)
