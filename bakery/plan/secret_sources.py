"""Whether a stack can give a bake the secrets of its recipe. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bakery.settings import Settings


def secret_faults(settings: Settings, secrets: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield which secrets have no source that the stack's oven can take them from, and what to do."""
    wanted = settings.secret_sources
    for name, one in secrets.items():
        if wanted and not one.keys() & {*wanted}:
            hint = f"add {' or '.join(wanted)} to secrets.{name} in recipe.yaml"
            yield f"the stack {settings.stack} has no source of the secret {name}", hint
