"""The state of the fake Google Cloud, and how a checked request becomes an answer.

Nothing runs in the background: what takes time on Google's side (builds, operations) is a function of the clock, and
what has become due is applied before each request.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from tests.fake_google import discovery, words
from tests.fake_google.conditions import Conditions
from tests.fake_google.discovery import Call

Json = Any


# Compute Engine and Cloud Storage have a reason, the APIs of google.rpc a status, BigQuery and IAM both.
NO_STATUS = ("compute", "storage")
NO_REASON = (
    *("artifactregistry", "cloudbuild", "cloudkms", "cloudresourcemanager", "cloudscheduler", "logging", "pubsub"),
    "serviceusage",
)


class Refusal(Exception):
    """An error answer in Google's form."""

    def __init__(self, code: int, message: str, reason: str = "", status: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason or {404: "notFound", 409: "conflict", 403: "forbidden"}.get(code, "invalid")
        names = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS"}
        names |= {412: "FAILED_PRECONDITION", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
        self.status = status or names.get(code, "UNKNOWN")

    def body(self, product: str = "") -> Json:
        """The JSON that goes over the wire, in the form of that product's API."""
        error: dict[str, Json] = {"code": self.code, "message": self.message}
        if product not in NO_REASON:
            error["errors"] = [{"message": self.message, "domain": "global", "reason": self.reason}]
        if product not in NO_STATUS:
            error["status"] = self.status
        return {"error": error}


@dataclass
class Fault:
    """Answers that match ``method`` (a pattern on the method's id) go wrong, ``times`` times (-1: always).

    ``code`` 0 with ``half`` sends half an answer and closes; ``delay`` in seconds comes before whatever follows.
    """

    method: str
    code: int = 0
    times: int = 1
    delay: float = 0.0
    half: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Request:
    """One request after routing: ``body`` is JSON, ``media`` the raw bytes of an upload."""

    call: Call
    query: Mapping[str, str]
    body: Json
    media: bytes = b""
    media_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    base: str = ""

    @property
    def id(self) -> str:
        """The method's id."""
        return self.call.method.id

    @property
    def key(self) -> str:
        """Where the store keeps what the path names."""
        return self.call.kept


@dataclass(frozen=True)
class Answer:
    """What goes back; ``body`` is JSON unless it is bytes."""

    body: Json = field(default_factory=dict)
    code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    checked: bool = True


class Hypervisor(Protocol):
    """Boots instances; ``key`` is where the store keeps one."""

    def insert(self, key: str, item: Json) -> None:
        """Boot it."""

    def delete(self, key: str) -> None:
        """End it."""

    def image(self, name: str, disk: str) -> None:
        """Make an image of a disk."""

    def look(self) -> None:
        """See which have ended."""

    def console(self, key: str) -> bytes:
        """Its console."""


class Builder(Protocol):
    """Runs builds."""

    def submit(self, build: Json) -> None:
        """Begin one."""


Handler = Callable[["Cloud", Request], Answer]
HANDLERS: dict[str, Handler] = {}
CONSULTED: list[Callable[[Cloud, Request], Answer | None]] = []  # asked before a handler: tests/fake_google/refusals


def handles(*methods: str) -> Callable[[Handler], Handler]:
    """Register a handler for methods that plain create, read, update and delete do not describe."""

    def register(handler: Handler) -> Handler:
        for method in methods:
            HANDLERS[method] = handler
        return handler

    return register


def rfc3339(seconds: float) -> str:
    """A time as Google writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


class Cloud:
    """One project's worth (and more) of fake Google Cloud."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.items: dict[str, Json] = {}
        self.policies: dict[str, Json] = {}
        self.media: dict[str, bytes] = {}
        self.rows: dict[str, list[Json]] = {}
        self.messages: dict[str, list[Json]] = {}
        self.faults: list[Fault] = []
        self.calls: list[tuple[float, str, str]] = []
        self.violations: list[str] = []
        self.strays: list[str] = []  # hosts that somebody asked this one to be a proxy for
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.operation_seconds = 0.0
        self.hooks: list[
            Callable[[Cloud, str, str, bytes], None]
        ] = []  # told of each new object: bucket, name, content
        self.quotas: dict[str, int] = {}  # pattern on the method's id to calls a minute
        self.numbers = iter(range(10**15, 10**16))
        self.machines: Hypervisor | None = None  # what boots the instances for real, if anything
        self.addresses: dict[str, str] = {}  # that instances of these names get
        self.worker: Builder | None = None  # what runs the steps of builds, if anything; else they have a course
        self.conditions = Conditions()
        self.clock: Callable[[], float] = time.time  # of what takes days or minutes: grants, services, deleted roles
        self.archived: dict[str, list[Json]] = {}  # versions of objects that were replaced or deleted
        self.tokens: dict[str, tuple[str, tuple[str, ...]]] = {}  # issued to machines: account and scopes
        self.bearers: dict[str, set[str]] = {}  # methods by the account whose token they were called with

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Apply an action once the clock reaches ``when`` (seconds since the epoch)."""
        self.due.append((when, action))

    def settle(self) -> None:
        """Apply all that has become due, in order."""
        now = time.time()
        ready = sorted((entry for entry in self.due if entry[0] <= now), key=lambda entry: entry[0])
        self.due = [entry for entry in self.due if entry[0] > now]
        for _, action in ready:
            action()
        if self.machines:
            self.machines.look()

    def hurry(self) -> None:
        """Let all that is still to come be due now, in its order."""
        with self.lock:
            for _, action in sorted(self.due, key=lambda entry: entry[0]):
                action()
            self.due.clear()

    def fault(self, method: str) -> Fault | None:
        """The fault that strikes this call, used up."""
        for fault in self.faults:
            if fault.times != 0 and re.search(fault.method, method):
                fault.times -= 1
                return fault
        return None

    def _quota(self, method: str, now: float) -> None:
        for pattern, limit in self.quotas.items():
            if re.search(pattern, method):
                recent = sum(1 for at, name, _ in self.calls if at > now - 60 and re.search(pattern, name))
                if recent >= limit:
                    raise Refusal(429, f"Quota exceeded for {pattern}", "rateLimitExceeded")

    def _note_bearer(self, request: Request) -> None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind == "Bearer" and self.tokens:
            if token not in self.tokens:
                raise Refusal(401, "Invalid Credentials", "authError", "UNAUTHENTICATED")
            account, scopes = self.tokens[token]
            words = [scope.rpartition("/")[2] for scope in scopes]
            own = f"dev{request.id.partition('.')[0]}"
            if not any(word == "cloud-platform" or word.startswith(own) for word in words):
                raise Refusal(403, "Request had insufficient authentication scopes.")
            self.bearers.setdefault(account, set()).add(request.id)

    def answer(self, request: Request) -> Answer:
        """Check the request, act, check the answer. Raises Refusal."""
        method = request.call.method
        document = discovery.api(method.service)
        with self.lock:
            now = time.time()
            self._quota(method.id, now)
            self._note_bearer(request)
            self.calls.append((now, method.id, request.call.path))
            self.settle()
            if method.request and request.body is not None and "enum-encoding=int" in request.query.get("$alt", ""):
                request = replace(request, body=document.named(method.request, request.body))
            wrong = [f"unknown query parameter {q}" for q in request.query if q not in method.query | document.common]
            if method.request and request.body is not None:
                wrong += document.problems(method.request, request.body) or document.lacking(method, request.body)
            if wrong:
                self.violations += [f"{method.id}: {text}" for text in wrong]
                raise Refusal(400, "; ".join(wrong))
            handler = HANDLERS.get(method.id) or HANDLERS.get("*." + method.id.rsplit(".", 1)[1])
            if handler is None:
                raise Refusal(501, f"the fake has no {method.id}")
            refused = next((told for consult in CONSULTED if (told := consult(self, request))), None)
            answer = refused or handler(self, request)
            if answer.checked and method.response and isinstance(answer.body, dict):
                broken = document.problems(method.response, answer.body)
                if broken:
                    self.violations += [f"{method.id} answer: {text}" for text in broken]
                    raise Refusal(500, "; ".join(broken))
            return answer

    def number(self) -> str:
        """A fresh numeric id as a string, as Google writes 64-bit numbers in JSON."""
        return str(next(self.numbers))

    def get(self, key: str) -> Json:
        """The item, or the 404 that Google gives."""
        if key not in self.items:
            raise Refusal(404, words.absent(key))
        return self.items[key]

    def add(self, key: str, item: Json) -> Json:
        """Store a new item, or the 409 that Google gives."""
        if key in self.items:
            raise Refusal(409, *words.taken(key))
        self.items[key] = item
        return item

    def add_stack_storage(self) -> None:
        """Add what bakes and tests of a stack of project p use, as an `up` without a prefix made it."""
        for bucket in ("sources", "logs", "artifacts"):
            self.items[f"storage/storage/v1/b/p-bakery-{bucket}"] = {"name": f"p-bakery-{bucket}"}
        self.items["pubsub/v1/projects/p/topics/bakery-events"] = {"name": "projects/p/topics/bakery-events"}

    def below(self, collection: str) -> list[Json]:
        """The items right below a collection, in order of creation."""
        prefix = f"{collection}/"
        return [v for k, v in self.items.items() if k.startswith(prefix) and "/" not in k[len(prefix) :]]

    def fresh_id(self) -> str:
        """A UUID, as builds and triggers have."""
        return str(uuid.uuid4())
