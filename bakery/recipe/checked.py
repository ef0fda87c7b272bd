"""What the checks of one package give; :mod:`bakery.recipe.remembered` keeps it between runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bakery.errors import Problem
from bakery.recipe.model import Json, Suite, Variant

TIMEOUT = 3600  # seconds, Cloud Build's own default


@dataclass(frozen=True)
class Checked:
    """What the checks give; files in problems and positions are below the package's folder.

    Without ``usable`` there is no recipe, only problems.
    """

    usable: bool = False
    workspace_path: str = ""
    common_path: str = "common"
    template: Json = None
    build: Json = field(default_factory=dict)
    substitutions: Mapping[str, str] = field(default_factory=dict)
    timeout: int = TIMEOUT
    variants: tuple[Variant, ...] = (Variant(),)
    suite: Suite | None = None
    owners: tuple[str, ...] = ()
    description: str = ""
    positions: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
