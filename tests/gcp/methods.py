"""The methods of Google's APIs that the bakery calls, read from its code and from what pulumi-gcp does for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.fake_google import discovery
from tests.gcp import endpoints
from tests.gcp.kinds import KINDS, POLICIES
from tests.support.root import ROOT

# Attributes of bakery.host.google.Google, and the published resource behind each.
CLIENTS: Mapping[str, str] = {
    "builds": "cloudbuild.projects.builds",
}
# Calls of client libraries that are named otherwise than the methods they send.
CALLS: Mapping[str, str] = {
    "insert_rows_json": "bigquery.tabledata.insertAll",
    "publish": "pubsub.projects.topics.publish",
    "list_blobs": "storage.objects.list",
    "upload_from_string": "storage.objects.insert",
    "upload_from_file": "storage.objects.insert",
    "download_as_bytes": "storage.objects.get",
    "reload": "storage.objects.get",
}
# What is asked for the end of an operation, by the place where it was begun.
POLLS: Mapping[str, str] = {
    "global": "compute.globalOperations.get",
    "regions": "compute.regionOperations.get",
    "zones": "compute.zoneOperations.get",
}
# What pulumi-gcp polls for the end of an operation, with a type of resource that begins one.
OPERATIONS: Mapping[str, str] = {
    "artifactregistry.projects.locations.operations.get": "gcp:artifactregistry/repository:Repository",
    "compute.globalOperations.get": "gcp:compute/network:Network",
    "compute.regionOperations.get": "gcp:compute/subnetwork:Subnetwork",
    "serviceusage.operations.get": "gcp:projects/service:Service",
}
OF_BLOBS = {"delete": "storage.objects.delete"}

READS = {  # which argument is a path below the project, and how that begins
    "read_compute": (0, ""),
    "compute_pages": (1, ""),
    "compute_items": (1, ""),
    "compute_everywhere": (1, "aggregated/"),
}
PASSED_ON = ("pages.py", "compute_operation.py")  # which read the paths that others give them
ASKED = {"RESOURCE_MANAGER": "cloudresourcemanager"}  # the product of a host that is asked without a client


def by_the_code(folder: Path = ROOT / "bakery") -> Iterator[tuple[str, str]]:
    """Yield each method that a client library is asked for, with the file that asks."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for method in _methods(node, reads=file.name not in PASSED_ON):
                yield method, str(file.relative_to(folder.parent))


def _methods(node: ast.AST, *, reads: bool) -> Iterator[str]:
    name = ast.unparse(node.func).rpartition(".")[2].rstrip(")") if isinstance(node, ast.Call) else ""
    if isinstance(node, ast.Call) and reads and name in READS:
        argument, beginning = READS[name]
        yield _published("GET", "compute", f"projects/x/{beginning}{_path(node.args[argument])}".rstrip("/"))
    if isinstance(node, ast.Call) and name == "change_compute":  # called, or what retries it is
        yield from _changes(node.args)
    host = ast.unparse(node.args[1]) if isinstance(node, ast.Call) and name == "ask" and len(node.args) == 3 else ""
    if isinstance(node, ast.Call) and (product := ASKED.get(host)):
        verb = ast.literal_eval(node.args[0])
        call = discovery.find(verb, f"/{product}/{_path(node.args[2])}")
        assert call, f"{ast.unparse(node)} is not published"
        yield call.method.id
    if not isinstance(node, ast.Attribute):
        return
    if node.attr in CALLS:
        yield CALLS[node.attr]
    value = node.value
    if isinstance(value, ast.Call) and ast.unparse(value.func).endswith(".blob") and node.attr in OF_BLOBS:
        yield OF_BLOBS[node.attr]
    if isinstance(value, ast.Attribute) and value.attr in CLIENTS and "google" in ast.unparse(value.value):
        yield f"{CLIENTS[value.attr]}.{_camel(node.attr.removesuffix('_build').removesuffix('_builds'))}"


def _changes(arguments: list[ast.expr]) -> Iterator[str]:
    """Yield the method of a change of Compute Engine, and the one that asks for its end."""
    path = _path(arguments[1])
    method = _published(ast.literal_eval(arguments[0]), "compute", f"projects/x/{path}")
    yield method
    if not method.endswith("setIamPolicy"):
        yield POLLS[path.partition("/")[0]]


def _path(written: ast.expr) -> str:
    """A path in the code, with an x for what is filled in."""
    parts = written.values if isinstance(written, ast.JoinedStr) else [written]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)


def by_the_provider() -> Iterator[tuple[str, str]]:
    """Yield each method that creates, reads, changes or removes what the stack declares, with the type of resource."""
    for token, kind in KINDS.items():
        asked = [("GET", kind.item), (kind.update, kind.item), ("DELETE", kind.item)]
        asked.append((kind.verb, kind.collection if kind.verb == "POST" else kind.item))
        for verb, path in asked[:1] + asked[3:] if kind.keep else asked:
            yield _published(verb, kind.service, path), token
    yield from OPERATIONS.items()
    yield "serviceusage.services.generateServiceIdentity", "gcp:projects/serviceIdentity:ServiceIdentity"
    yield "storage.projects.serviceAccount.get", "gcp:storage/getProjectServiceAccount:getProjectServiceAccount"
    for token, (service, path) in POLICIES.items():
        for verb, end in policy_calls(service):
            yield _published(verb, service, f"{path}{end}"), token


def policy_calls(service: str) -> list[tuple[str, str]]:
    """How a service's policies are read and written: the verb, and what follows the resource's path."""
    if service == "storage":
        return [("GET", "/iam"), ("PUT", "/iam")]
    if service == "bigQuery":
        return [("GET", ""), ("PATCH", "")]
    read = "GET" if service in ("pubsub", "artifactRegistry", "cloudbuildv2", "kms") else "POST"
    return [(read, ":getIamPolicy"), ("POST", ":setIamPolicy")]


def _published(verb: str, service: str, path: str) -> str:
    plain = path.partition("?")[0].replace("{serviceAccountId}", "projects/x/serviceAccounts/x")
    plain = plain.replace("{cryptoKeyId}", "projects/x/locations/x/keyRings/x/cryptoKeys/x")
    plain = re.sub(r"\{\w+\}", "x", plain)
    call = discovery.find(verb, f"/{endpoints.APIS[service]}{plain}")
    assert call, f"{verb} {service} {plain} is not published"
    return call.method.id


def called() -> Mapping[str, list[str]]:
    """Every method, with who asks for it."""
    found: dict[str, list[str]] = {}
    for method, where in (*by_the_code(), *by_the_provider()):
        if where not in found.setdefault(method, []):
            found[method].append(where)
    return found
