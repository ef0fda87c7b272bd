"""Whether values that refer to one another come to an end: no loop, and nothing that grows beyond all bounds."""

from collections.abc import Callable, Mapping

from bakery.recipe.parse.document import Document

LONGEST = 1 << 16  # characters of a value that is filled in
_LOOP = -1


def bounded(values: Mapping[str, str], named: Callable[[str], list[str]], document: Document, key: str) -> bool:
    """Whether every value ends. ``named`` returns the names that a value refers to; errors are reported at ``key``."""
    references = {name: [n for n in named(text) if n in values] for name, text in values.items()}
    if not any(references.values()):
        return True
    lengths: dict[str, int] = {}
    right = True
    for name in values:
        length = _length(name, values, references, lengths)
        if length == _LOOP:
            document.error(f"{name} refers to itself", "write the value", key, name)
        elif length > LONGEST:
            document.error(f"{name} grows to {length} characters", f"keep it below {LONGEST}", key, name)
        right &= 0 <= length <= LONGEST
    return right


def _length(first: str, values: Mapping[str, str], references: Mapping[str, list[str]], lengths: dict[str, int]) -> int:
    """An upper bound of the filled-in length, _LOOP in and behind a loop; depth first without recursion."""
    stack = [first]
    open_: set[str] = set()
    while stack:
        name = stack[-1]
        if name in lengths:
            stack.pop()
            continue
        open_.add(name)
        waiting = [other for other in references[name] if other not in lengths]
        if any(other in open_ for other in waiting):
            lengths[name] = _LOOP
        elif waiting:
            stack += dict.fromkeys(waiting)
            continue
        else:
            parts = [lengths[other] for other in references[name]]
            lengths[name] = _LOOP if _LOOP in parts else len(values[name]) + sum(parts)
        open_.discard(name)
        stack.pop()
    return lengths[first]
