"""Answers the questions of many threads with few requests.

A plugin process serves many resources at once, and each asks Google the same kind of question: does my image exist, how
does my build do. Quotas and the time of an ``up`` count requests. So questions that come at about the same time are
put into one request.
"""

import copy
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from bakery.errors import InfrastructureFailed

GATHER_SECONDS = 0.3  # between the beginnings of two requests, if several threads ask
SETTLE_SECONDS = 0.03  # without a further question, before a request begins
BUSY_SECONDS = 2.0  # since another thread has asked; also the most that a request waits
MOST = 50  # questions of one request: their names have to fit into an address
Question = TypeVar("Question")
Answer = TypeVar("Answer")


@dataclass
class _Batch(Generic[Question, Answer]):
    questions: list[Question] = field(default_factory=list)
    answers: Sequence[Answer] = ()
    error: Exception | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Batches(Generic[Question, Answer]):
    """Asks ``ask`` for the answers of several questions, in their order.

    No answer is older than its question: a request begins after all of its questions were asked. The first thread
    makes the request: at once, or, if another thread has asked a moment ago, when no more questions come and ``gather``
    seconds after the last request began. An error is that of all threads whose questions were in the request.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[Question]], Sequence[Answer]],
        *,
        gather: float = GATHER_SECONDS,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ask = ask
        self._gather = gather
        self._most = most
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._open: _Batch[Question, Answer] | None = None
        self._last = (0, 0.0)  # who asked last, and when
        self._began = 0.0  # the last request
        self._took = 0.0  # its seconds

    def get(self, question: Question) -> Answer:
        """Return the answer to a question. Raises what the request raises."""
        return self.get_all([question])[0]

    def get_all(self, questions: Sequence[Question]) -> Sequence[Answer]:
        """Return the answers to questions that one request asks. Raises what the request raises."""
        with self._lock:
            batch, busy = self._open, self._busy()
            if first := batch is None or len(batch.questions) + len(questions) > self._most:
                batch = self._open = _Batch()
            place = len(batch.questions)
            batch.questions += questions
        if first:
            self._request(batch, busy=busy)
        batch.done.wait()
        if batch.error is not None:
            raise copy.copy(batch.error) from batch.error  # each thread adds what it knows to its own
        return batch.answers[place : place + len(questions)]

    def _busy(self) -> bool:
        """Return whether another thread has asked moments ago, and note that this one asks."""
        (thread, at), self._last = self._last, (threading.get_ident(), self._clock())
        return thread not in (0, self._last[0]) and self._last[1] - at < BUSY_SECONDS

    def _gather_questions(self, batch: _Batch[Question, Answer]) -> None:
        """Wait until the last request is long enough ago, and until the batch grows no more."""
        earliest = self._began + max(self._gather, 2 * self._took)
        latest, known = self._clock() + BUSY_SECONDS, 0
        while (now := self._clock()) < latest and (now < earliest or known < len(batch.questions)):
            known = len(batch.questions)
            self._sleep(SETTLE_SECONDS)

    def _request(self, batch: _Batch[Question, Answer], *, busy: bool) -> None:
        batch.error = InfrastructureFailed("the request was cut short")
        try:
            if busy:
                self._gather_questions(batch)
            with self._lock:
                if self._open is batch:
                    self._open = None
            self._began = began = self._clock()
            batch.answers, batch.error = self._ask(batch.questions), None
            self._took = self._clock() - began
        except Exception as error:
            batch.error = error
        finally:
            batch.done.set()
