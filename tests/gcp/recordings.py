"""Exchanges with Google's real APIs, replayed against the fake.

The exchanges stay outside of the repository, in the folder that ``GOOGLE_RECORDINGS`` names (default: the folder
``shared/google-recordings`` beside the checkout). Their placeholders, ``${projectId}`` and others, become names of the
replay; an operation's is the name that the fake gave it.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.fake_google import discovery
from tests.fake_google.cloud import HANDLERS
from tests.fake_google.server import FakeServer
from tests.support.root import ROOT

Json = Any
FOLDER = Path(os.environ.get("GOOGLE_RECORDINGS") or ROOT.parent / "shared" / "google-recordings")
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
FIXED = {
    "projectId": "p-recorded",
    "projectNumber": "123456789012",
    "uniqueId": "unique1",
}
DATASET = re.compile(r"bigquerydataset\w*\$\{uniqueId\}")  # messages and bodies have the name itself
VERSIONS = ("etag", "fingerprint", "labelFingerprint")  # masked; a request has to send what was read before
MASKED = {"expirationTime": "1735689600000"}  # a number, masked by a date
MAPS = ("labels", "@type")  # of which only the presence is compared


@dataclass(frozen=True)
class Exchange:
    """One request and what Google answered. ``source`` is the recording's name, ``number`` its place there."""

    source: str
    number: int
    verb: str
    url: str
    request: Json
    status: int
    answer: Json

    @property
    def path(self) -> str:
        """The path that the fake serves it under: the service, then Google's path and query."""
        parts = urlsplit(self.url)
        service = parts.netloc.partition(".")[0].replace("www", "compute")
        return f"/{service}{parts.path}" + (f"?{parts.query}" if parts.query else "")

    @property
    def method(self) -> str:
        """The published method's id; empty if the fake does not serve it."""
        call = discovery.find(self.verb, PLACEHOLDER.sub("x", self.path.partition("?")[0]))
        served = call and (call.method.id in HANDLERS or f"*.{call.method.id.rpartition('.')[2]}" in HANDLERS)
        return call.method.id if call and served else ""


@dataclass(frozen=True)
class Difference:
    """What the fake answers another way than Google did: ``what`` is status, error or a field."""

    exchange: Exchange
    method: str
    what: str
    google: str
    fake: str


def read(folder: Path) -> dict[str, list[Exchange]]:
    """The exchanges in their order, by recording. Each refusal of ``errors.json`` is a recording of its own."""
    found: dict[str, list[Exchange]] = defaultdict(list)
    for file in sorted(folder.glob("*.json")):
        for number, raw in enumerate(json.loads(file.read_text(encoding="utf-8"))):
            alone = file.stem == "errors"
            source = f"{file.stem}/{number if alone else raw['from'].rpartition('/')[2]}"
            made = Exchange(source, number, raw["method"], raw["url"], raw["request"], raw["status"], raw["response"])
            found[source].append(made)
    return dict(found)


@dataclass
class Replay:
    """Sends the exchanges of one recording to the fake; ``names`` are the values of the placeholders.

    A recording masks all disks of one test with the same name: a "not found" for a disk that is there begins another.
    """

    server: FakeServer
    names: dict[str, list[str]] = field(default_factory=dict)
    operation: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    dataset: str = ""

    def __post_init__(self) -> None:
        self.connection = HTTPConnection("127.0.0.1", self.server.server_address[1], timeout=60)

    def filled(self, value: Json) -> Json:
        """The value with names in place of its placeholders."""
        return json.loads(PLACEHOLDER.sub(lambda found: self._name(found[1]), json.dumps(value)))

    def _name(self, placeholder: str) -> str:
        if placeholder == "operationID":
            return self.operation
        if placeholder in FIXED:
            return FIXED[placeholder]
        if placeholder == "datasetID":
            return self.dataset
        names = self.names.setdefault(placeholder, [f"{placeholder.removesuffix('ID').lower()}-1"])
        return names[-1]

    def send(self, exchange: Exchange) -> tuple[int, Json]:
        """The fake's status and answer; the names go on to what was created and back from what was deleted."""
        last = PLACEHOLDER.fullmatch(exchange.path.partition("?")[0].rpartition("/")[2])
        status, answer = self._send(exchange)
        if last and last[1] in self.names and exchange.verb == "GET" and (exchange.status, status) == (404, 200):
            self.names[last[1]].append(f"{last[1].removesuffix('ID').lower()}-{len(self.names[last[1]]) + 1}")
            status, answer = self._send(exchange)
        if last and exchange.verb == "DELETE" and status < 300 and len(self.names.get(last[1], [])) > 1:
            self.names[last[1]].pop()
        if status == 200 and isinstance(answer, dict) and "operation" in str(answer.get("name")):
            self.operation = answer["name"].rpartition("/")[2]
        return status, answer

    def _send(self, exchange: Exchange) -> tuple[int, Json]:
        request = None if exchange.request is None else self._versioned(self.filled(exchange.request))
        body = None if request is None else json.dumps(request)
        self.connection.request(exchange.verb, self.filled(exchange.path), body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        content = answer.read()
        made = json.loads(content) if content else None
        if isinstance(made, dict):
            self.versions |= {name: made[name] for name in VERSIONS if name in made}
        return answer.status, made

    def _versioned(self, request: Json) -> Json:
        """The request with what was read last in place of masked etags and fingerprints."""
        if not isinstance(request, dict):
            return request
        known = {name: self.versions.get(name, "") for name in VERSIONS if name in request}
        known |= {name: value for name, value in MASKED.items() if name in request}
        return {name: self._versioned(value) for name, value in request.items()} | known

    def differences(self, exchange: Exchange) -> Iterator[Difference]:
        """Send it and compare the answers."""
        if named := DATASET.search(json.dumps([exchange.request, exchange.answer])):
            self.dataset = self.filled(named[0])
        status, answer = self.send(exchange)
        expected = self.filled(exchange.answer)
        for what, google, fake in compared(exchange.status, expected, status, answer):
            yield Difference(exchange, exchange.method, what, google, fake)


def compared(status: int, expected: Json, got: int, answer: Json) -> Iterator[tuple[str, str, str]]:
    """What differs: statuses, the error's words, an operation's life, and the fields with their types."""
    if status != got:
        yield "status", str(status), f"{got} {json.dumps(answer)[:300]}"
        return
    left, right = fields(expected), fields(answer)
    if status >= 400:
        left, right = values(expected["error"]), values((answer or {}).get("error", {}))
    elif isinstance(expected, dict) and str(expected.get("kind")).endswith("#operation"):
        for name in ("status", "progress", "operationType"):
            if expected.get(name) != answer.get(name):
                yield f"operation {name}", str(expected.get(name)), str(answer.get(name))
    for name in sorted({*left, *right}):
        if left.get(name) != right.get(name):
            yield name, left.get(name, ""), right.get(name, "")


def values(error: Json) -> dict[str, str]:
    """An error's code, words, reason and status by the place of each."""
    found = {key: str(value) for key, value in error.items() if key not in ("errors", "details")}
    for detail in error.get("errors", []):
        found |= {f"errors.{key}": str(value) for key, value in detail.items()}
    return found | {f"details.{detail['@type']}": "" for detail in error.get("details", [])}


def fields(value: Json, place: str = "") -> dict[str, str]:
    """The place of each field of an answer, and the type of what is there; the items of a list share one place."""
    if isinstance(value, Mapping):
        found = {place: "object"} if place else {}
        if place.rpartition(".")[2] not in MAPS:
            for key, each in value.items():
                found |= fields(each, f"{place}.{key}".lstrip("."))
        return found
    if isinstance(value, list):
        found = {place: "array"}
        for each in value:
            found |= fields(each, f"{place}[]")
        return found
    return {place: {str: "string", bool: "boolean", int: "number", float: "number"}.get(type(value), "null")}
