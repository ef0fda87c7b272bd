"""Which options of a source depend on sensitive variables or locals, also through other locals: no value is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bakery.recipe.hcl2.module import Module
from bakery.recipe.parse import hcl_nodes as nodes

_NAME = re.compile(r"\b(?:var|local)\.[\w-]+")


def hidden_options(module: Module, blocks: Iterable[nodes.Block | None]) -> list[str]:
    """Return the options of these blocks that depend on something sensitive."""
    secret = {f"var.{name}" for name, variable in module.variables.items() if variable.sensitive}
    secret |= {f"local.{name}" for name in module.secret_locals}
    left = {f"local.{name}": attribute.expression.text for name, (_, attribute) in module.locals.items()}
    while grown := {name for name, text in left.items() if name not in secret and secret & {*_NAME.findall(text)}}:
        secret |= grown
    parts = [part for block in blocks if block for part in _texts(block.body)] if secret else []
    return sorted({name for name, text in parts if secret & {*_NAME.findall(text)}})


def _texts(body: nodes.Body) -> Iterator[tuple[str, str]]:
    """Yield every expression of a body with the name of the option that it belongs to."""
    yield from ((name, attribute.expression.text) for name, attribute in body.attributes.items())
    for block in body.blocks:
        name = block.labels[0] if block.type == "dynamic" and block.labels else block.type
        yield from ((name, text) for _, text in _texts(block.body))
