"""The graph of images: which one is baked from which, in which order, and what is wrong with it.

Every image has one base, so that walking from child to parent finds each cycle in linear time.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from bakery.errors import Problem

GUESSES = 10  # at most: a guess compares with every family there is


class Node(NamedTuple):
    """One image before its digest is known. ``at`` and ``base_at`` say where family and base are set: file, line.

    ``faults`` are why no machine of the recipe can run it, or the oven not bake it, and what to do. ``features`` are
    the guest OS features that it adds to those of its base, ``needs`` those that it is tested with, with the name of
    the partition. ``architecture`` is "" where it is not known.
    """

    package: str
    variant: str
    family: str
    base_family: str
    base_project: str
    at: tuple[str, int]
    base_at: tuple[str, int]
    faults: tuple[tuple[str, str], ...] = ()
    features: tuple[str, ...] = ()
    needs: tuple[tuple[str, str], ...] = ()
    architecture: str = ""

    @property
    def title(self) -> str:
        """The image for people: package, and variant when there is one."""
        return f"{self.package} ({self.variant})" if self.variant else self.package


class Graph(NamedTuple):
    """Indices into the nodes. ``order`` has a parent before its children and leaves out what can't be planned.

    ``parents`` maps a node to its parent; a node that is not in it starts from an external base image.
    """

    order: tuple[int, ...]
    parents: Mapping[int, int]
    problems: tuple[Problem, ...]


def build(nodes: Sequence[Node], broken: Collection[str] = ()) -> Graph:
    """Return the graph of the nodes with all its problems: duplicate families, unknown parents, cycles.

    ``broken`` are families whose recipes have errors of their own: images baked from one can't be planned either.
    """
    by_family: dict[str, int] = {}
    problems: list[Problem] = []
    bad: set[int] = set()
    for index, node in enumerate(nodes):
        first = by_family.setdefault(node.family, index)
        if first != index and node.family:
            problems.append(_double(node, nodes[first]))
            bad.add(index)
    parents: dict[int, int] = {}
    guessed = 0
    for index, node in enumerate(nodes):
        if node.base_family and node.base_family in by_family:
            parents[index] = by_family[node.base_family]
        elif node.base_family in broken:
            bad.add(index)
        elif not node.base_project or not node.base_family:
            guessed += 1
            problems.append(_unknown(node, by_family if guessed <= GUESSES else {}))
            bad.add(index)
    for cycle in _cycles(len(nodes), parents):
        problems.append(_cycle([nodes[index] for index in cycle]))
        bad.update(cycle)
    return Graph(_ordered(len(nodes), parents, bad), parents, tuple(problems))


def _cycles(count: int, parents: Mapping[int, int]) -> Iterable[list[int]]:
    """Each cycle once, from the first node of it on, child before parent."""
    seen: dict[int, int] = {}  # node to the walk that came by
    for start in range(count):
        walk: list[int] = []
        index: int | None = start
        while index is not None and index not in seen:
            seen[index] = start
            walk.append(index)
            index = parents.get(index)
        if index is not None and seen[index] == start:
            yield walk[walk.index(index) :]


def _ordered(count: int, parents: Mapping[int, int], bad: Collection[int]) -> tuple[int, ...]:
    """Parents first, level by level; without bad nodes and without what is baked from them."""
    children: dict[int, list[int]] = {}
    roots: dict[int, None] = {}  # in the order in which they are met, as a node or as a parent
    for index in range(count):
        parent = parents.get(index)
        if parent is None:
            roots[index] = None
        elif index not in bad:
            children.setdefault(parent, []).append(index)
            if parent not in parents:
                roots[parent] = None
    order: list[int] = []
    level = list(roots)
    while level := [index for index in level if index not in bad]:
        order += level
        level = [child for index in level for child in children.get(index, ())]
    return tuple(order)


def _double(node: Node, other: Node) -> Problem:
    where = f"{other.at[0]}:{other.at[1]}"
    hint = "give each image its own family"
    return Problem(*node.at, f"family {node.family} is also made by {other.title} ({where})", hint)


def _unknown(node: Node, families: Mapping[str, int]) -> Problem:
    if not node.base_family:
        hint = "set _SOURCE_IMAGE_FAMILY in cloudbuild.yaml or source_image_family in the template"
        return Problem(*node.base_at, f"{node.title} names no base image", hint)
    import difflib  # needed for this error only

    close = difflib.get_close_matches(node.base_family, families, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    hint += (
        "for an external image set _SOURCE_IMAGE_PROJECT in cloudbuild.yaml or source_image_project_id in the template"
    )
    return Problem(*node.base_at, f"parent {node.base_family} of {node.title} is not the family of a recipe", hint)


def _cycle(nodes: Sequence[Node]) -> Problem:
    names = " -> ".join(node.family for node in (*nodes, nodes[0]))
    hint = "bake one of them from another image"
    return Problem(*nodes[0].base_at, f"these images are baked from each other: {names}", hint)
