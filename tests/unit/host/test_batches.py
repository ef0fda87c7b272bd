"""Questions of many threads share requests: each gets its own answer, which is not older than the question."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from bakery.errors import BakeryError, Uncertain
from bakery.host.batches import SETTLE_SECONDS, Batches
from tests.support.clock import Clock
from tests.support.every import every


class Server:
    """Answers with the question and the number of the request; the first request waits until it is let go."""

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def ask(self, questions: Sequence[str]) -> Sequence[tuple[str, int]]:
        self.requests.append(list(questions))
        number = len(self.requests)
        if number == 1:
            self.begun.set()
            assert self.go.wait(60)
        return [(question, number) for question in questions]


def test_one_that_is_alone_does_not_wait_for_others() -> None:
    clock = Clock()
    batches: Batches[str, str] = Batches(list, gather=3600.0, clock=clock, sleep=clock.pass_)
    assert [batches.get(question) for question in "abc"] == ["a", "b", "c"]
    assert clock.passed == 0


def test_requests_of_several_threads_keep_their_distance() -> None:
    clock = Clock()
    begun: list[float] = []

    def ask(questions: Sequence[str]) -> Sequence[str]:
        begun.append(clock.passed)
        return questions

    batches: Batches[str, str] = Batches(ask, gather=0.5, clock=clock, sleep=clock.pass_)
    with ThreadPoolExecutor(1) as pool:
        for question in "abcd":
            assert batches.get(question) == question
            assert pool.submit(batches.get, question).result(60) == question
        clock.pass_(10)
        assert batches.get("e") == "e"
    distances = [after - before for before, after in itertools.pairwise(begun)]
    assert every(0.5 <= one <= 0.5 + 2 * SETTLE_SECONDS for one in distances[:-1])
    assert distances[-1] <= 10 + 2 * SETTLE_SECONDS, "after a pause nobody waits"


def test_those_who_ask_at_the_same_time_get_their_own_answers_of_few_requests() -> None:
    server = Server()
    server.go.set()
    batches: Batches[str, tuple[str, int]] = Batches(server.ask, gather=0.5, most=50)
    questions = [f"image-{number}" for number in range(40)]
    with ThreadPoolExecutor(len(questions)) as pool:
        answers = list(pool.map(batches.get, questions))
    assert [question for question, _ in answers] == questions
    assert sorted(question for request in server.requests for question in request) == sorted(questions)
    assert len(server.requests) < len(questions) / 2


def test_no_answer_is_older_than_its_question() -> None:
    """Who asks while a request is under way is answered by the next one."""
    server = Server()
    batches: Batches[str, tuple[str, int]] = Batches(server.ask, gather=0.01)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(batches.get, "a")
        assert server.begun.wait(60)
        assert pool.submit(batches.get, "a").result(60) == ("a", 2)
        server.go.set()
        assert first.result(60) == ("a", 1)


def test_a_request_holds_no_more_questions_than_fit() -> None:
    server = Server()
    server.go.set()
    batches: Batches[str, tuple[str, int]] = Batches(server.ask, gather=0.2, most=3)
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(batches.get, map(str, range(20))))
    assert every(len(request) <= 3 for request in server.requests)


def test_an_error_is_told_to_all_who_asked_and_to_nobody_later() -> None:
    failing = True

    def ask(questions: Sequence[str]) -> Sequence[str]:
        if failing:
            raise Uncertain("no answer", hint="try again")
        return questions

    batches: Batches[str, str] = Batches(ask, gather=0.2)

    def told(question: str) -> BakeryError:
        with pytest.raises(Uncertain, match="no answer") as error:
            batches.get(question)
        return error.value

    with ThreadPoolExecutor(4) as pool:
        errors = list(pool.map(told, "abcd"))
    assert len({id(error) for error in errors}) == 4, "each may add what it knows to its own"
    assert every(error.hint == "try again" for error in errors)
    failing = False
    assert batches.get("a") == "a"
