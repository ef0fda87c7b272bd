from __future__ import annotations

import time

import pytest

from bakery.plan.graph import Node, build


def node(family: str, base: str, project: str = "outside", package: str = "") -> Node:
    name = package or family
    return Node(name, "", family, base, project, (f"{name}/cloudbuild.yaml", 7), (f"{name}/cloudbuild.yaml", 8))


def families(*nodes: Node) -> list[str]:
    return [nodes[index].family for index in build(nodes).order]


def test_parents_stand_first() -> None:
    nodes = (node("c", "b"), node("b", "a"), node("a", "debian"), node("d", "a"))
    order = families(*nodes)
    assert sorted(order) == ["a", "b", "c", "d"]
    assert order.index("a") < order.index("b") < order.index("c")
    assert order.index("a") < order.index("d")


@pytest.mark.parametrize(
    ("nodes", "cycle"),
    [
        ((node("a", "a"),), "a -> a"),
        ((node("a", "b"), node("b", "c"), node("c", "a")), "a -> b -> c -> a"),
        ((node("x", "a"), node("a", "b"), node("b", "a")), "a -> b -> a"),
    ],
)
def test_a_cycle_is_named_in_full(nodes: tuple[Node, ...], cycle: str) -> None:
    graph = build(nodes)
    assert [problem.message for problem in graph.problems] == [f"these images are baked from each other: {cycle}"]
    assert graph.order == ()


def test_each_cycle_once_and_the_rest_is_planned() -> None:
    nodes = (node("a", "b"), node("b", "a"), node("c", "d"), node("d", "c"), node("ok", "debian"), node("on-c", "c"))
    graph = build(nodes)
    assert len(graph.problems) == 2
    assert [nodes[index].family for index in graph.order] == ["ok"]


def test_an_unknown_parent_is_said_with_a_guess() -> None:
    graph = build((node("rcc-debian", "debian-12"), node("hpcc", "rcc-debain", "")))
    (problem,) = graph.problems
    assert str(problem).startswith("hpcc/cloudbuild.yaml:8: error: parent rcc-debain of hpcc is not the family of")
    assert "did you mean rcc-debian?" in problem.hint


def test_no_base_at_all_is_a_problem() -> None:
    (problem,) = build((node("a", ""),)).problems
    assert problem.message == "a names no base image"


def test_one_family_twice_names_both_places() -> None:
    graph = build((node("a", "debian", package="one"), node("a", "debian", package="two")))
    (problem,) = graph.problems
    assert str(problem).startswith(
        "two/cloudbuild.yaml:7: error: family a is also made by one (one/cloudbuild.yaml:7); give each"
    )
    assert graph.order == (0,)


def test_a_family_outside_is_no_edge() -> None:
    graph = build((node("a", "debian-12"),))
    assert (graph.parents, graph.problems, graph.order) == ({}, (), (0,))


def test_a_chain_of_ten_thousand_needs_no_recursion_and_little_time() -> None:
    count = 10_000
    nodes = [node(f"n{index}", f"n{index - 1}" if index else "debian") for index in range(count)]
    begin = time.process_time()
    graph = build(nodes)
    assert graph.order == tuple(range(count))
    assert time.process_time() - begin < 5


def test_many_unknown_parents_do_not_take_quadratic_time() -> None:
    nodes = [node(f"family-{index:05}", f"familie-{index:05}", "") for index in range(2000)]
    begin = time.process_time()
    assert len(build(nodes).problems) == 2000
    assert time.process_time() - begin < 5
