"""Google's discovery documents as a router and a checker.

google-api-python-client ships the documents. Every request and every answer of the fake is checked against them: a
field, a query parameter or a path that Google does not publish is an error here too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import googleapiclient

PARAMETER = re.compile(r"\{(\+?)([^}]+)\}")
DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
# What follows the hyphen is another version of a service's API. Terraform's provider, and so pulumi-gcp, asks the beta
# API of Compute Engine.
SERVICES: Mapping[str, str] = {
    "artifactregistry": "v1",
    "bigquery": "v2",
    "cloudbuild": "v1",
    "cloudbuild-v2": "v2",
    "cloudkms": "v1",
    "cloudresourcemanager": "v1",
    "cloudscheduler": "v1",
    "compute": "v1",
    "iam": "v1",
    "iap": "v1",
    "logging": "v2",
    "pubsub": "v1",
    "serviceusage": "v1",
    "storage": "v1",
    "cloudresourcemanager-v3": "v3",
    "compute-beta": "beta",
    "serviceusage-v1beta1": "v1beta1",
}
# All versions of an API show the same resources; these are the paths that they are kept under.
SAME = (("/compute/beta/", "/compute/v1/"), ("/v1beta1/", "/v1/"), ("/v3/", "/v1/"))
# Query parameters that a document has as a field of the body only; Google takes them, and the provider sends them.
ALSO_IN_QUERY: Mapping[str, frozenset[str]] = {"pubsub.projects.topics.patch": frozenset({"updateMask"})}
# Fields that a document does not have, by schema: resume.py of slurm-gcp 4 sends them, and its clusters work.
ALSO_TAKEN: Mapping[str, frozenset[str]] = {"InstanceProperties": frozenset({"name"})}
# Values of another type than a document says, by the end of their place: an empty object in place of an empty list, a
# number in place of a text. resume.py of slurm-gcp 6 sends them, and its clusters work.
ALSO_AS: Mapping[str, Callable[[Any], bool]] = {
    ".instanceProperties.resourcePolicies": lambda value: value == {},
    ".labels.slurm_job_id": lambda value: type(value) is int,
}
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}

# Of strings, what a format allows.
FORMATS: Mapping[str, re.Pattern[str]] = {
    "int64": re.compile(r"-?\d+"),
    "google-duration": re.compile(r"-?\d+(\.\d{1,9})?s"),
    "google-datetime": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]\d\d:\d\d)"),
}
LISTING = ("compute", "storage")  # these list the methods that need a field
REQUIRED = re.compile(r"Required\.|\[Required\]")  # how a description of the newer APIs begins


@dataclass(frozen=True)
class Method:
    """One published method; its templates are of whole request paths below the host."""

    service: str
    id: str
    verb: str
    template: str
    flat_template: str
    upload_template: str
    request: str
    response: str
    query: frozenset[str]
    specificity: int

    @property
    def product(self) -> str:
        """The service, whatever the version of its API."""
        return self.service.partition("-")[0]

    @cached_property
    def path(self) -> re.Pattern[str]:
        """Return what the method's paths match, with a group for each of :attr:`names`."""
        # A reserved expansion ({+name}) would match anything, so the flat path decides and the other one names.
        flat_only = _pattern(self.flat_template).replace("(", "(?:")
        return re.compile(f"(?={flat_only}$){_pattern(self.template)}")

    @cached_property
    def upload(self) -> re.Pattern[str] | None:
        """Return what the paths of an upload match, if the method takes one."""
        return re.compile(_pattern(self.upload_template)) if self.upload_template else None

    @property
    def names(self) -> list[str]:
        """Return the names of the path's parameters."""
        return [name for _, name in PARAMETER.findall(self.template)]

    def patterns(self, path: str) -> Iterator[re.Pattern[str]]:
        """Yield the patterns that a path may match: there are thousands, and the others need not be compiled."""
        if path.startswith(f"/{self.flat_template.partition('{')[0]}"):
            yield self.path
        if self.upload and path.startswith(f"/{self.upload_template.partition('{')[0]}"):
            yield self.upload

    def parameter(self, name: str) -> str:
        """A query parameter's published name; Google also takes ``repository_id`` for ``repositoryId``."""
        camel = re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)
        return camel if name not in self.query and camel in self.query else name


@dataclass(frozen=True)
class Call:
    """A request that found its method: ``params`` are those of the path."""

    method: Method
    params: Mapping[str, str]
    path: str
    is_upload: bool = False

    @property
    def kept(self) -> str:
        """Where what the path names is kept: the product and the path, the same for all versions of an API."""
        path = self.path
        for other, usual in SAME:
            path = path.replace(other, usual, 1)
        return f"{self.method.product}{path}"


def _pattern(template: str) -> str:
    """Return the regular expression of a path template."""
    text, end = "/", 0
    for parameter in PARAMETER.finditer(template):
        text += re.escape(template[end : parameter.start()]) + ("(.+)" if parameter[1] else "([^/:]+)")
        end = parameter.end()
    return text + re.escape(template[end:])


def _methods(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from node.get("methods", {}).values()
    for below in node.get("resources", {}).values():
        yield from _methods(below)


class Api:
    """One service's document. ``mounted`` is the path that its methods start with below the host."""

    def __init__(self, service: str, version: str) -> None:
        name = service.partition("-")[0]
        document = json.loads((DOCUMENTS / f"{name}.{version}.json").read_text(encoding="utf-8"))
        self.service = service
        self.schemas: Mapping[str, Any] = document["schemas"]
        self.common = frozenset(document.get("parameters", {})) | {"$alt", "alt", "uploadType", "upload_id"}
        self.methods = [self._method(document, raw) for raw in _methods(document)]

    def _method(self, document: Mapping[str, Any], raw: Mapping[str, Any]) -> Method:
        flat = document["servicePath"] + raw.get("flatPath", raw["path"])
        upload = raw.get("mediaUpload", {}).get("protocols", {}).get("simple", {}).get("path", "")
        return Method(
            service=self.service,
            id=raw["id"],
            verb=raw["httpMethod"],
            template=document["servicePath"] + raw["path"],
            flat_template=flat,
            upload_template=upload.removeprefix("/"),
            request=raw.get("request", {}).get("$ref", ""),
            response=raw.get("response", {}).get("$ref", ""),
            query=frozenset(raw.get("parameters", {})) | ALSO_IN_QUERY.get(raw["id"], frozenset()),
            specificity=sum(1 for part in flat.split("/") if "{" not in part),
        )

    def named(self, schema: str, value: Any) -> Any:
        """The value with enum numbers (``$alt=json;enum-encoding=int``) as the names they stand for."""
        return self._named(self.schemas[schema], value)

    def _named(self, schema: Mapping[str, Any], value: Any) -> Any:
        schema = self.schemas[schema["$ref"]] if "$ref" in schema else schema
        if isinstance(value, dict):
            other = schema.get("additionalProperties", {})
            known = schema.get("properties", {})
            return {key: self._named(known.get(key, other), each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._named(schema.get("items", {}), each) for each in value]
        if isinstance(value, int) and not isinstance(value, bool) and value < len(schema.get("enum", ())):
            return schema["enum"][value]
        return value

    def problems(self, schema: str, value: Any, where: str = "") -> list[str]:
        """How ``value`` breaks the schema of that name."""
        return self._object(self.schemas[schema], value, where or schema)

    def _object(self, schema: Mapping[str, Any], value: Any, where: str) -> list[str]:
        if "$ref" in schema:
            return self._object(self.schemas[schema["$ref"]], value, where)
        kind = schema.get("type", "any")
        known = any(where.endswith(place) and is_taken(value) for place, is_taken in ALSO_AS.items())
        if kind == "any" or value is None or known:
            return []
        loose = kind in ("integer", "number") and isinstance(value, str) and re.fullmatch(r"-?[\d.]+", value)
        loose = loose or (schema.get("format") == "int64" and type(value) is int)
        if not loose and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
            return [f"{where} is {type(value).__name__}, the discovery document says {kind}"]
        if kind == "array":
            return [p for i, each in enumerate(value) for p in self._object(schema["items"], each, f"{where}[{i}]")]
        if kind == "object":
            return self._fields(schema, value, where)
        return self._text(schema, value, where) if isinstance(value, str) else []

    @staticmethod
    def _text(schema: Mapping[str, Any], value: str, where: str) -> list[str]:
        if "enum" in schema and value not in schema["enum"]:
            return [f"{where} is {value!r}, the discovery document knows {schema['enum']}"]
        form = FORMATS.get(schema.get("format", ""))
        if form and not form.fullmatch(value):
            return [f"{where} is {value!r}, the discovery document says {schema['format']}"]
        if "pattern" in schema and value and not re.fullmatch(schema["pattern"], value):
            return [f"{where} is {value!r}. Must be a match of regex '{schema['pattern']}'"]
        return []

    def required(self, method: Method, body: Any) -> list[tuple[str | int, ...]]:
        """The places of the fields that a request of this method has to have, whether it has them or not.

        Compute Engine and Cloud Storage list the methods that need a field, the others say it in a field's description,
        which is about methods that make something. What the path says need not be said again.
        """
        return list(self._required(method, {"$ref": method.request}, body, ()))

    def _required(
        self, method: Method, schema: Mapping[str, Any], body: Any, place: tuple[str | int, ...]
    ) -> Iterator[tuple[str | int, ...]]:
        schema = self.schemas[schema["$ref"]] if "$ref" in schema else schema
        if isinstance(body, list):
            for index, each in enumerate(body):
                yield from self._required(method, schema["items"], each, (*place, index))
        elif isinstance(body, dict):
            for name, below in schema.get("properties", {}).items():
                told = method.product not in LISTING and REQUIRED.match(below.get("description", ""))
                making = told and method.verb != "PATCH"
                listed = method.id in below.get("annotations", {}).get("required", ())
                if (making or listed) and not (place == () and name in method.names):
                    yield (*place, name)
                if body.get(name) is not None:
                    yield from self._required(method, below, body[name], (*place, name))

    def lacking(self, method: Method, body: Any) -> list[str]:
        """The required fields that a request does not have."""
        found = []
        for place in self.required(method, body):
            value = body
            for step in place[:-1]:
                value = value[step]
            if place[-1] not in value:
                found.append(f"Required field '{'.'.join(map(str, place))}' not specified")
        return found

    def _fields(self, schema: Mapping[str, Any], value: Mapping[str, Any], where: str) -> list[str]:
        known: Mapping[str, Any] = schema.get("properties", {})
        other = schema.get("additionalProperties")
        found: list[str] = []
        for key, each in value.items():
            below = known.get(key, other)
            if key in ALSO_TAKEN.get(schema.get("id", ""), ()):
                continue
            if below is None and each not in (None, []):  # Google passes over an unknown field without a value
                found.append(f"{where}.{key} is not in the discovery document")
            elif below is not None:
                found += self._object(below, each, f"{where}.{key}")
        return found


@cache
def api(service: str) -> Api:
    """The document of one service, read once."""
    return Api(service, SERVICES[service])


@cache
def _by_verb(service: str, verb: str) -> tuple[Method, ...]:
    methods = [method for method in api(service).methods if method.verb == verb]
    return tuple(sorted(methods, key=lambda method: -method.specificity))


def _match(service: str, verb: str, path: str) -> Call | None:
    for method in _by_verb(service, verb):
        for pattern in method.patterns(path):
            if match := pattern.fullmatch(path):
                params = dict(zip(method.names, match.groups(), strict=True))
                return Call(method, params, path, is_upload=pattern is method.upload)
    return None


def find(verb: str, path: str) -> Call | None:
    """The published method for a request.

    A path may start with ``/<service>/`` to pick the service, which one port for all of them sometimes needs.
    """
    path = path.removeprefix("/download")  # the media download service serves the same methods
    first, _, rest = path.removeprefix("/").partition("/")
    for service in SERVICES:
        picked = service.partition("-")[0] == first and (
            _match(service, verb, f"/{rest}") or _match(service, verb, path)
        )
        if picked:
            return picked
    return next((call for service in SERVICES if (call := _match(service, verb, path))), None)
