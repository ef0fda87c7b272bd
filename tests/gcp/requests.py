"""The requests that the bakery sends: its client libraries' over a scenario, pulumi-gcp's from the declared stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks

from bakery.backends import backend
from bakery.backends.google import policies
from bakery.fluid_run.clusters.compute_engine import ComputeEngineClusters
from bakery.host.google import Google
from bakery.library.base import ImageRecord, ImageState, Proof
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.plan.model import Plan
from bakery.progress.activity import Activity
from bakery.recipe.model import ClusterShape, Partition
from bakery.results.model import JobResult, RunResult, Verdict
from bakery.settings import Settings, parse
from tests.fake_google import agents, builds, compute, discovery, identity
from tests.fake_google.cloud import Answer, Cloud, Request
from tests.fake_google.refusals import keys
from tests.fake_google.server import FakeServer, serve
from tests.gcp import endpoints, methods
from tests.gcp.kinds import KINDS, POLICIES
from tests.support import bake_orders
from tests.support.clusters import order, workspace

Json = Any
IMAGES = "compute/compute/v1/projects/p/global/images"
SECOND = "projects/p/locations/europe-west1/connections/c/repositories/r"
TABLE = "bigquery/bigquery/v2/projects/p/datasets/rcc_run/tables/app_runs"


class Listening(Cloud):
    """Keeps the requests that it answered."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Request] = []

    def answer(self, request: Request) -> Answer:
        """Answer it."""
        self.heard.append(request)
        return super().answer(request)


def settings(root: Path, **google: Any) -> Settings:
    """Those of a gcp stack, with its state below ``root``."""
    values = {"project": "p", "region": "us-central1", "repository": "owner/name", **google}
    return parse({"oven": "cloud-build", "google": values}, "gcp", root)


def by_the_clients(folder: Path) -> Iterator[Request]:
    """Yield what an image's life sends: baked, tested, promoted, derived, shared, replaced and removed."""
    cloud = Listening()
    with serve(cloud) as server:
        _project(cloud)
        _preview(server, folder)
        _life(server, folder)
    assert cloud.violations == []
    yield from cloud.heard


def _project(cloud: Cloud) -> None:
    cloud.add_stack_storage()
    cloud.items[TABLE] = {"schema": {"fields": [{"name": "command_group", "type": "STRING"}]}}
    for number in range(2):
        labels = {"bakery-family": "app", "bakery-recipe": "app", "bakery-digest": f"d{number}"}
        compute.add_image(cloud, IMAGES, {"name": f"app-{number}", "labels": labels})
    agents.obey(cloud)
    builds.script(cloud, lambda _build: builds.Course(seconds=0.01))


def _preview(server: FakeServer, folder: Path) -> None:
    """What a preview of the project's owner asks for, who may read policies."""
    conditions = server.cloud.conditions
    conditions.caller, caller = "", conditions.caller
    policies.refused(Google(settings(folder, endpoint=server.url).google), ())
    conditions.caller = caller


def _life(server: FakeServer, folder: Path) -> None:
    given = settings(folder, endpoint=server.url)
    google = Google(given.google)
    oven: Any = backend(given).oven()
    oven.watch.poll_seconds = 0.01
    steps = [{"name": "hashicorp/packer", "args": ["build", "packer.json"], "id": "Build Image"}]
    file = bake_orders.source(folder, "packages/new/install.sh", "echo\n")
    oven.bake(bake_orders.replace(bake_orders.order("new", (file,)), build={"steps": steps}), Activity())
    image = ImageRecord("app-0", "d0", "app", "", "app", "")
    nodes = Partition("debug", 1, machine_type="c2-standard-4", compact_placement=True)
    suite = replace(order("app-0").suite, cluster=ClusterShape((nodes,)))
    placed = replace(order("app-0"), suite=suite)
    cluster = ComputeEngineClusters(given, google).cluster("run-1", image, placed, workspace(folder / "work"))
    cluster.provision(Activity())
    cluster.tear_down()
    library = ComputeEngineLibrary(given, google)
    job = JobResult({"command_group": "h"}, passed=True)
    library.record_run(RunResult("run-1", "app-0", "t", Verdict.PASSED, "2026-01-01T00:00:00Z", (job,)))
    library.record_test("app-0", Proof.PASSED, "t")
    library.promote("app-0", "app")
    library.derive("app-0", "app-stable")
    library.share("app-0", ["group:a@example.com"])
    library.promote("app-1", "app")
    old = library.find("app-0")
    assert old is not None
    library.set_state(old, ImageState.OBSOLETE)


@dataclass
class Declared(pulumi.runtime.Mocks):
    """Keeps the resources of pulumi-gcp that the program declares: type and inputs."""

    made: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Keep it."""
        self.made.append((args.typ, args.inputs))
        email = f"{args.inputs.get('accountId')}@p.iam.gserviceaccount.com"
        if args.typ.endswith(":ServiceIdentity"):
            email = identity.agent(args.inputs["service"].partition(".")[0])
        given = {"email": email, "selfLink": f"projects/p/x/{args.name}", **args.inputs}
        return f"{args.name}-id", {**given, "name": args.inputs.get("name", args.name)}

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        """Answer with the agent of Cloud Storage, all that the program looks up."""
        assert args.token == "gcp:storage/getProjectServiceAccount:getProjectServiceAccount"
        return {"emailAddress": identity.STORAGE_AGENT}


def by_the_provider(plan: Plan, folder: Path) -> Iterator[Request]:
    """Yield what creates and changes each resource of the stack, also of one with a key and a connected repository."""
    for more in ({}, {"kmsKey": keys.KEY, "repository": SECOND}):
        declared = _declared(plan, settings(folder, **{"ci": {"github": "owner/name"}, **more}))
        for token, inputs in declared.made:
            if token in KINDS:
                yield from _requests(token, inputs)
            if token in POLICIES:
                yield _grant(token, inputs)


def _declared(plan: Plan, given: Settings) -> Declared:
    from bakery.infrastructure.bakery import declare

    declared = Declared()
    pulumi.runtime.set_mocks(declared, project="image-bakery", stack="gcp", preview=False)

    @pulumi.runtime.test
    def program() -> pulumi.Output[Any]:
        return pulumi.Output.all(*[component.urn for component in declare(given, plan, lambda _granted: None)])

    program()
    return declared


def _grant(token: str, inputs: Mapping[str, Any]) -> Request:
    """What writes the policy with the grant in it."""
    service, path = POLICIES[token]
    verb, ending = methods.policy_calls(service)[1]
    call = discovery.find(verb, f"/{endpoints.APIS[service]}{path.format(**inputs)}{ending}")
    assert call is not None, token
    binding = {"role": inputs["role"], "members": [inputs["member"]]}
    if inputs.get("condition"):
        binding["condition"] = {name: text for name, text in inputs["condition"].items() if text}
    policy = {"bindings": [binding], "etag": "BwAAAAAAAAA=", "version": 3}
    entry = {"role": inputs["role"], "userByEmail": inputs["member"].partition(":")[2]}
    return Request(call, {}, {"storage": policy, "bigQuery": {"access": [entry]}}.get(service, {"policy": policy}))


def _requests(token: str, inputs: Mapping[str, Any]) -> Iterator[Request]:
    kind = KINDS[token]
    known = {"email": "x", "triggerId": "x", "location": "us-central1", "region": "us-central1", **inputs}
    creating = kind.collection if kind.verb == "POST" else kind.item
    item = f"{kind.item}?updateMask={kind.mask}" if kind.mask else kind.item
    changing = [] if kind.keep else [(kind.update, item, kind.change or kind.body)]
    for verb, path, body in [(kind.verb, creating, kind.body), *changing]:
        filled, _, query = path.format(**known).partition("?")
        call = discovery.find(verb, f"/{endpoints.APIS[kind.service]}{filled}")
        assert call is not None, (verb, filled)
        yield Request(call, dict(pair.split("=") for pair in query.split("&") if pair), dict(body(inputs)))
