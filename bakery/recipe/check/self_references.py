"""Values that refer to others: whether filling them in comes to an end."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter

from bakery.recipe.expressions import reference_list
from bakery.recipe.parse import Document
from bakery.recipe.substitutions import substitutions_in
from bakery.recipe.templating import declared

LONGEST = 1 << 16  # characters of a value that is filled in


def ends(values: Mapping[str, str], named: Callable[[str], Sequence[str]], document: Document, key: str) -> bool:
    """Whether no value refers to itself or grows beyond all bounds. ``named`` returns the names that a value uses."""
    references = {name: [other for other in named(text) if other in values] for name, text in values.items()}
    if not any(references.values()):
        return True
    sorter = TopologicalSorter(references)
    with suppress(CycleError):  # it still yields everything that is not in a loop or behind one
        sorter.prepare()
    lengths: dict[str, int] = {}  # upper bounds
    while ready := sorter.get_ready():
        lengths |= {name: len(values[name]) + sum(lengths[other] for other in references[name]) for name in ready}
        sorter.done(*ready)
    for name in values:
        if name not in lengths:
            document.error(f"{name} refers to itself", "write the value", key, name)
        elif lengths[name] > LONGEST:
            document.error(f"{name} grows to {lengths[name]} characters", f"keep it below {LONGEST}", key, name)
    return len(lengths) == len(values) and max(lengths.values()) <= LONGEST


def values_end(template: Document, build: Document | None, values: Mapping[str, str]) -> bool:
    """Whether the variables of the template and the substitutions ``values`` of the build can all be filled in."""
    right = ends(declared(template.value), reference_list, template, "variables")
    if build is not None:
        right &= ends(values, substitutions_in, build, "substitutions")
    return right
