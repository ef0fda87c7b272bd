"""One rule of Google's, and how it refuses what breaks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fake_google import crud
from tests.fake_google.cloud import Answer, Cloud, Refusal, Request

Json = Any
Broken = Callable[[Cloud, Request], str]


@dataclass(frozen=True)
class Example:
    """A request that breaks a rule. ``body`` is laid over a request that breaks none; ``switch`` are conditions."""

    method: str
    path: str
    body: Json = None
    switch: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """A rule: what it says, where that is known from, whom it concerns, and the refusal.

    ``broken`` returns Google's message if the request breaks the rule, else an empty text. With ``operation`` the
    answer is an operation that ends with this code (the status says what ``httpErrorMessage`` says).
    """

    name: str
    says: str
    source: str
    methods: tuple[str, ...]
    broken: Broken
    example: Example
    status: int = 400
    reason: str = "invalid"
    operation: str = ""
    assumed: bool = False

    def concerns(self, request: Request) -> bool:
        """Whether the rule is about this method."""
        return request.id in self.methods or "*" in self.methods

    def refuse(self, cloud: Cloud, request: Request, text: str) -> Answer:
        """The failed operation, or the error raised as a Refusal."""
        if not self.operation:
            status = "FAILED_PRECONDITION" if self.reason == "failedPrecondition" else ""
            raise Refusal(self.status, text, self.reason, status)
        return Answer(failed(cloud, request, self.operation, text, self.status))


HTTP_WORDS = {400: "BAD REQUEST", 403: "FORBIDDEN", 412: "PRECONDITION FAILED", 503: "SERVICE UNAVAILABLE"}
RPC_CODES = {"PERMISSION_DENIED": 7}  # of google.rpc.Code


def failed(cloud: Cloud, request: Request, code: str, text: str, status: int) -> Json:
    """An operation that ends with an error, as most of what is found out only later is answered."""
    if request.call.method.product != "compute":
        error = {"code": RPC_CODES[code], "message": text}
        target = f"{request.key}/{crud.name_of(request)}"
        return crud.operation(cloud, request, "create", target, failure={"error": error})
    name = (request.body or {}).get("name", "")
    verb = request.id.rpartition(".")[2]
    target = f"{request.key}/{name}" if name else request.key.removesuffix(f"/{verb}")
    failure = {
        "error": {"errors": [{"code": code, "message": text}]},
        "httpErrorStatusCode": status,
        "httpErrorMessage": HTTP_WORDS[status],
    }
    return crud.operation(cloud, request, "insert" if name else verb, target, failure=failure)
