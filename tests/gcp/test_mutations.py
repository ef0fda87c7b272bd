"""Each field of each request that the bakery sends is spoiled or left out: the fake refuses it as Google does.

What the discovery document says is what counts: types, formats, enums, patterns, required fields. It does not say why
a field that may be missing is needed all the same; for that there is the book of refusals.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.fake_google import discovery
from tests.fake_google.cloud import Cloud, Refusal, Request
from tests.fake_google.discovery import Api
from tests.gcp import methods, requests
from tests.unit.infrastructure.test_security import PLAN

Json = Any
Place = tuple[str | int, ...]
Field = tuple[Place, Mapping[str, Any]]
MUTATIONS = 1100  # may rise only
# Methods that send no body of JSON, so that there is nothing to spoil.
BODILESS = ("get", "list", "delete", "aggregatedList", "getFromFamily", "getIamPolicy", "getSerialPortOutput")
# Methods whose requests are not spoiled here, and why.
NOT_SENT: Mapping[str, str] = {
    "cloudbuild.projects.builds.cancel": "the path says all of it",
    "compute.disks.setLabels": "the body is that of compute.images.setLabels",
    "serviceusage.services.enable": "the body is empty",
    "serviceusage.services.generateServiceIdentity": "the body is empty",
}
# Fields that Google does not refuse with another type, and why.
LENIENT: Mapping[str, str] = {
    "rows[].json": "a row is of any type; BigQuery refuses it row by row, see bigquery.tabledata.insertAll",
}


@dataclass(frozen=True)
class Mutation:
    """A request's body that is wrong in one place."""

    kind: str
    place: str
    body: Json


def at(body: Json, place: Place) -> Json:
    for step in place:
        body = body[step]
    return body


def changed(body: Json, place: Place, value: Json) -> Json:
    made = copy.deepcopy(body)
    at(made, place[:-1])[place[-1]] = value
    return made


def shown(place: Place) -> str:
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in place).lstrip(".")


def fields(api: Api, schema: Mapping[str, Any], value: Json, place: Place = ()) -> Iterator[Field]:
    """Every field of a body that is there, with its schema; of the items of a list the first."""
    schema = api.schemas[schema["$ref"]] if "$ref" in schema else schema
    if place:
        yield place, schema
    if isinstance(value, dict):
        for name, each in value.items():
            below = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if below is not None and each is not None:
                yield from fields(api, below, each, (*place, name))
    elif isinstance(value, list) and value:
        yield from fields(api, schema["items"], value[0], (*place, 0))


WRONG: Mapping[str, Json] = {"string": {"a": 1}, "boolean": "perhaps", "integer": "many", "number": "many"}
WRONG_FORMATS: Mapping[str, str] = {"int64": "many", "google-duration": "an hour", "google-datetime": "yesterday"}


def mutations(request: Request) -> Iterator[Mutation]:
    """The body with one thing wrong."""
    method = request.call.method
    api = discovery.api(method.service)
    body, top = request.body, {"$ref": method.request}
    yield Mutation("unknown field", "", {**body, "noSuchField": 1})
    for place, schema in fields(api, top, body):
        if schema.get("type", "any") == "any" or shown(place) in LENIENT:
            continue
        wrong = WRONG.get(schema["type"], "a word")
        yield Mutation("type", shown(place), changed(body, place, wrong))
        if "enum" in schema:
            yield Mutation("enum", shown(place), changed(body, place, "NO_SUCH_VALUE"))
        if "pattern" in schema:
            yield Mutation("pattern", shown(place), changed(body, place, "No Such_Name!"))
        if schema.get("format") in WRONG_FORMATS:
            yield Mutation("format", shown(place), changed(body, place, WRONG_FORMATS[schema["format"]]))
    for place in api.required(method, body):
        made = copy.deepcopy(body)
        del at(made, place[:-1])[place[-1]]
        yield Mutation("required", shown(place), made)


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> list[Request]:
    """Every request with a body, each form of it once."""
    folder = tmp_path_factory.mktemp("life")
    given = [*requests.by_the_clients(folder), *requests.by_the_provider(PLAN, folder)]
    given = [replace(one, body=_named(one)) for one in given]
    bodies = [one for one in given if one.call.method.request and one.body and _sound(one)]
    forms = {(one.id, tuple(shown(place) for place, _ in _of(one))): one for one in bodies}
    return list(forms.values())


def _named(request: Request) -> Json:
    """The body with the names of enums that a client library sent as numbers."""
    method = request.call.method
    by_number = method.request and request.body and "enum-encoding=int" in request.query.get("$alt", "")
    return discovery.api(method.service).named(method.request, request.body) if by_number else request.body


def _sound(request: Request) -> bool:
    method = request.call.method
    api = discovery.api(method.service)
    return not api.problems(method.request, request.body) and not api.lacking(method, request.body)


def _of(request: Request) -> Iterator[Field]:
    api = discovery.api(request.call.method.service)
    return fields(api, {"$ref": request.call.method.request}, request.body)


def test_every_field_that_is_spoiled_or_missing_is_refused(sent: list[Request]) -> None:
    taken, number = [], Counter[str]()
    for request in sent:
        for mutation in mutations(request):
            number[mutation.kind] += 1
            try:
                Cloud().answer(replace(request, body=mutation.body, headers={}))
            except Refusal as refusal:
                if refusal.code == 400:
                    continue
            taken.append(f"{request.id}: {mutation.kind} {mutation.place}")
    assert taken == []
    assert set(number) == {"unknown field", "type", "enum", "pattern", "format", "required"}
    assert sum(number.values()) >= MUTATIONS, number


def test_every_method_with_a_body_is_mutated(sent: list[Request]) -> None:
    with_body = {method for method in methods.called() if method.rpartition(".")[2] not in BODILESS}
    assert with_body - {request.id for request in sent} == set(NOT_SENT)
