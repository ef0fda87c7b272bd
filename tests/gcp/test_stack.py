"""The gcp stack against the fake Google Cloud: preview, up, no-op, edit, refresh, destroy."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.settings.google import Duty
from tests.fake_google.cloud import Fault
from tests.gcp import endpoints
from tests.gcp.stack import Stack, two_images
from tests.support import workshop as shop
from tests.support.every import every

pytestmark = [pytest.mark.engine, pytest.mark.gcp]
UP_SECONDS = 400
KEY = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"
# How often these are called with another key when its grants work at once.
REFUSED_AT_FIRST = {
    "storage.buckets.patch": 4,
    "bigquery.datasets.update": 1,
    "pubsub.projects.topics.patch": 2,
    "artifactregistry.projects.locations.repositories.create": 1,
}


@pytest.fixture
def stack(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with two_images(tmp_path, tmp_path_factory.getbasetemp()) as made:
        yield made
        assert set(made.server.cloud.strays) <= endpoints.EXPECTED_STRAYS


def up(stack: Stack) -> None:
    """``pulumi up``; the real provider waits seconds for every grant to be there, one after the other."""
    done = stack.workshop.run("up", "--yes", "--skip-preview", timeout=UP_SECONDS)
    assert done.code == 0, done.text


def changes(stack: Stack) -> dict[str, str]:
    """What a preview would do with any resource, those of pulumi-gcp too: URN to operation."""
    done = stack.workshop.run("preview", "--json", "--diff")
    assert done.code == 0, done.text
    steps = json.loads(done.text[done.text.index("{") :])["steps"]
    return {step["urn"]: f"{step['op']} {step.get('detailedDiff')}" for step in steps if step["op"] != "same"}


def the_first_preview(stack: Stack) -> None:
    """What the owner of the project reads before anything is there."""
    stack.server.cloud.conditions.policies, stack.server.cloud.conditions.caller = {"compute.requireOsLogin"}, ""
    shown = stack.workshop.preview()
    assert shown.code == 0, shown.text
    assert "BakedImage" in shown
    assert "the triggers need owner/name to be connected in us-central1" in shown
    assert "bakes will fail: the organisation's policy compute.requireOsLogin" in shown
    assert "set google.osLogin to true" in shown
    stack.server.cloud.conditions.policies, stack.server.cloud.conditions.caller = set(), "bakery-deploy"


def test_from_nothing_to_promoted_images_and_back(stack: Stack) -> None:
    the_first_preview(stack)
    assert stack.items("") == [key for key in stack.items("") if key == "course"], "a preview makes nothing"

    up(stack)
    families = stack.families()
    assert set(families) == {"base", "app"}
    assert len(stack.items("/triggers/")) == 4
    buckets = {key.rpartition("/")[2] for key in stack.items("storage/v1/b/") if "/o/" not in key}
    assert buckets == {"p-bakery-sources", "p-bakery-logs", "p-bakery-artifacts", "p-bakery-spack-cache"}
    assert len(stack.server.cloud.rows[next(iter(stack.server.cloud.rows))]) == 2
    assert not stack.items("/instances/")

    again = stack.workshop.preview()
    assert again.code == 0, again.text
    assert "unchanged" in again
    assert changes(stack) == {}

    refreshed = stack.workshop.run("refresh", "--yes", "--skip-preview", timeout=UP_SECONDS)
    assert refreshed.code == 0, refreshed.text
    assert changes(stack) == {}, "what Google adds by itself is no change"

    stack.workshop.write("packages/app/install.sh", "#!/bin/bash\necho changed\n")
    shown = stack.workshop.preview("--diff")
    assert "install.sh" in shown
    assert set(stack.workshop.steps()) >= {"BakedImage app"}
    assert "BakedImage base" not in stack.workshop.steps()
    up(stack)
    assert stack.families()["app"] != families["app"]
    assert stack.families()["base"] == families["base"]
    old = stack.server.cloud.items[next(key for key in stack.items("/global/images/") if families["app"] in key)]
    assert old["deprecated"]["state"] == "DEPRECATED"

    stack.workshop.extra["google"] |= {"schedule": "0 5 * * 2", "branch": "trunk"}
    assert {change.partition(" ")[0] for change in changes(stack).values()} == {"update"}
    up(stack)
    assert [stack.server.cloud.items[key]["schedule"] for key in stack.items("/jobs/")] == ["0 5 * * 2"]
    pushes = [stack.server.cloud.items[key].get("github", {}).get("push") for key in stack.items("/triggers/")]
    assert [push["branch"] for push in pushes if push] == ["^trunk$", "^trunk$"]
    assert changes(stack) == {}

    families = stack.families()
    gone = stack.workshop.run("destroy", "--yes", "--skip-preview", timeout=UP_SECONDS)
    assert gone.code != 0, "buckets with results in them, and a protected table, are not destroyed in passing"
    kept = {"storage-sources", "storage-logs", "storage-artifacts", "results-app-runs"}
    assert {name for name in kept if name in gone} == kept, gone.text
    granted = [stack.server.cloud.policies, stack.server.cloud.items[stack.items("/datasets/rcc_run")[0]]["access"]]
    left = [duty for duty in Duty if f"bakery-{duty}@" in json.dumps(granted)]
    assert left == [], "grants go, also those on what is kept"
    assert len(stack.items("/global/images/")) == 3
    assert stack.items("/tables/app_runs") and not stack.items("/triggers/")
    submitted = len(stack.items("/builds/"))
    up(stack)
    assert stack.families() == families, "what was kept is taken up again"
    assert len(stack.items("/builds/")) == submitted


def late(stack: Stack) -> None:
    """Let a service, and each grant on a key, work when they are used again, and other grants after a second."""
    conditions = stack.server.cloud.conditions
    conditions.too_early, conditions.early_keys, conditions.grant_seconds = {"compute"}, True, 1.0
    stack.workshop.extra["google"]["kmsKey"] = KEY


def test_the_first_up_waits_for_what_works_later_and_an_image_that_a_colleague_baked_is_adopted(stack: Stack) -> None:
    late(stack)
    up(stack)
    asked = Counter(method for _, method, _ in stack.server.cloud.calls)
    assert asked["compute.networks.insert"] > 1 and asked["storage.buckets.insert"] > 4, asked
    (messages,) = stack.server.cloud.messages.values()
    events = Counter(message["attributes"]["event"] for message in messages)
    assert events == {"baked": 2, "tested": 2, "promoted": 2}, "the plugin sends what is left before it ends"
    submitted = len(stack.items("/builds/"))
    stack.workshop.run(
        "state", "delete", "--yes", "--target-dependents", stack.workshop.resources("BakedImage")[0]["urn"]
    )
    up(stack)
    assert len(stack.items("/builds/")) == submitted


def test_another_project_gets_images_of_its_own(stack: Stack) -> None:
    up(stack)
    stack.workshop.extra["google"] |= {"project": "q-project", "region": "europe-west1"}
    wanted = {"BakedImage": "replace", "FluidRunTest": "replace", "PromotedImage": "update"}
    steps = {f"{kind} {family}": step for kind, step in wanted.items() for family in ("base", "app")}
    assert stack.workshop.steps() == steps

    done = stack.workshop.run("up", "--yes", "--skip-preview", timeout=UP_SECONDS)
    assert done.code != 0, "what is kept in the project before is told"
    kept = {"storage-sources", "storage-logs", "storage-artifacts", "results-app-runs"}
    assert {name for name in kept if name in done} == kept, done.text
    assert len(stack.items("/projects/q-project/global/images/")) == 2
    assert len(stack.items("/projects/q-project/locations/europe-west1/triggers/")) == 4
    assert stack.items("/projects/q-project/datasets/rcc_run/tables/app_runs")
    buckets = [key for key in stack.items("b/q-project-bakery-") if "/o/" not in key]
    assert len(buckets) == 4
    placed = [*buckets, *stack.items("/projects/q-project/datasets/rcc_run")[:1]]
    assert {stack.server.cloud.items[key]["location"].lower() for key in placed} == {"europe-west1"}
    assert {urn.rpartition("::")[2] for urn in changes(stack)} <= {*kept, "results-dataset"}


def test_a_second_generation_repository_is_watched_in_its_region_and_may_be_fetched(stack: Stack) -> None:
    connection = "projects/p/locations/europe-west1/connections/c"
    cloud = stack.server.cloud
    cloud.add(f"cloudbuild/v2/{connection}", {"name": connection})
    stack.workshop.extra["google"]["repository"] = f"{connection}/repositories/r"
    up(stack)
    assert len(stack.items("/locations/europe-west1/triggers/")) == 4
    watched = [cloud.items[key].get("repositoryEventConfig", {}) for key in stack.items("/triggers/")]
    assert {event["repository"] for event in watched if event} == {f"{connection}/repositories/r"}
    assert cloud.policies[f"cloudbuild/v2/{connection}"]["bindings"] == [
        {
            "role": "roles/cloudbuild.readTokenAccessor",
            "members": ["serviceAccount:bakery-trigger@p.iam.gserviceaccount.com"],
        }
    ]
    assert changes(stack) == {}


def test_a_key_may_be_given_later_and_changed_and_taken_away(stack: Stack) -> None:
    up(stack)
    cloud = stack.server.cloud
    cloud.faults.append(Fault(r"repositories\.delete", 403))
    for name in ("k", "l", ""):
        key = f"projects/p/locations/us-central1/keyRings/r/cryptoKeys/{name}" if name else ""
        stack.workshop.extra["google"]["kmsKey"] = key
        cloud.conditions.early_keys = name == "l"
        cloud.calls.clear()
        if name == "k":
            refused = stack.workshop.run("up", "--yes", "--skip-preview", timeout=UP_SECONDS)
            assert refused.code != 0, "the engine alone would wait forever for what replaces it"
            assert "storage-repository could not be deleted, so it is not replaced" in refused
        up(stack)
        asked = Counter(method for _, method, _ in cloud.calls)
        if name == "l":
            assert every(asked[method] > times for method, times in REFUSED_AT_FIRST.items()), asked
        assert changes(stack) == {}
        topics_and_registry = [*stack.items("/topics/"), *stack.items("/repositories/bakery")]
        assert [cloud.items[path].get("kmsKeyName", "") for path in topics_and_registry] == [key] * 3
        (logs,) = stack.items("b/p-bakery-logs")[:1]
        assert (cloud.items[logs].get("encryption") or {}).get("defaultKmsKeyName", "") == key
        dataset = cloud.items[stack.items("/datasets/rcc_run")[0]]
        assert dataset.get("defaultEncryptionConfiguration", {}).get("kmsKeyName", "") == key
    for name in ("k", "l"):  # what is encrypted with an earlier key has to be read, too
        policy = cloud.policies[f"cloudkms/v1/projects/p/locations/us-central1/keyRings/r/cryptoKeys/{name}"]
        assert len({member for binding in policy["bindings"] for member in binding["members"]}) == 5
    writer = "serviceAccount:bakery-builder@p.iam.gserviceaccount.com"
    (policy,) = (policy for path, policy in cloud.policies.items() if path.endswith("/repositories/bakery"))
    assert any(writer in binding["members"] for binding in policy["bindings"]), "grants on what was made anew"


def test_another_region_leaves_buckets_and_results_where_they_are(stack: Stack) -> None:
    up(stack)
    stack.workshop.extra["google"]["region"] = "europe-west1"
    up(stack)
    assert changes(stack) == {}
    cloud = stack.server.cloud
    kept = [*stack.items("b/p-bakery-"), *stack.items("/datasets/rcc_run")]
    kept = [path for path in kept if "/o/" not in path and "/tables/" not in path]
    assert {cloud.items[path]["location"].lower() for path in kept} == {"us-central1"}
    moved = [*stack.items("/repositories/"), *stack.items("/triggers/"), *stack.items("/subnetworks/")]
    assert len(moved) == 6
    assert every("/europe-west1/" in path for path in moved)


def test_two_stacks_with_prefixes_in_one_project_do_not_meet(stack: Stack) -> None:
    prod = replace(stack.workshop, stack="prod", extra=copy.deepcopy(stack.workshop.extra))
    dev, extra = stack.workshop, stack.workshop.extra
    extra["google"] |= {"prefix": "dev", "ci": {"gitlab": "group/project", "environment": "dev"}}
    prod.extra["google"] |= {"ci": {"github": "owner/name"}}
    shop.init(prod)
    up(stack)
    up(Stack(prod, stack.server))
    digests = {family: name.removeprefix(family) for family, name in stack.families().items()}
    assert digests.keys() == {"base", "app", "dev-base", "dev-app"}
    assert (digests["base"], digests["app"]) == (digests["dev-base"], digests["dev-app"])
    theirs = {key for key in stack.items("") if "dev" not in key and "/triggers/" not in key}
    triggers = {"bake-base", "bake-app", "bakery-preview", "bakery-newer-bases"}
    families = stack.families()
    pools = stack.items("/workloadIdentityPools/")
    assert [key.partition("/workloadIdentityPools/")[2] for key in pools] == [
        *("bakery-ci", "bakery-ci/providers/github", "dev-ci", "dev-ci/providers/gitlab")
    ]
    assert "attribute.repository/owner/name" in json.dumps(stack.server.cloud.policies)
    prod.extra["google"]["ci"] = {"github": "owner/name", "branch": "release"}
    up(Stack(prod, stack.server))
    assert "'refs/heads/release'" in stack.server.cloud.items[pools[1]]["attributeCondition"]

    gone = dev.run("destroy", "--yes", "--skip-preview", timeout=UP_SECONDS)
    assert gone.code != 0, "buckets with results in them, and a protected table, are not destroyed in passing"
    assert stack.families() == {family: families[family] for family in ("base", "app")}
    assert theirs <= stack.server.cloud.items.keys()
    assert {stack.server.cloud.items[key]["name"] for key in stack.items("/triggers/")} == triggers
    assert [stack.server.cloud.items[key]["state"] for key in pools] == ["ACTIVE", "ACTIVE", "DELETED", "DELETED"]
    assert changes(Stack(prod, stack.server)) == {}
    refreshed = prod.run("refresh", "--yes", "--skip-preview", timeout=UP_SECONDS)
    assert refreshed.code == 0, refreshed.text
    assert changes(Stack(prod, stack.server)) == {}


def test_a_stack_bakes_with_the_infrastructure_of_another_one(stack: Stack) -> None:
    up(stack)
    made = len(stack.items(""))
    extra = {"oven": "cloud-build", "google": {"infrastructure": "gcp", "prefix": "dev"}}
    dev = shop.init(replace(stack.workshop, stack="dev", extra=extra))
    up(Stack(dev, stack.server))
    assert stack.families().keys() == {"base", "app", "dev-base", "dev-app"}
    accounts = [key for key in stack.items("/serviceAccounts/") if "dev" in key]
    assert accounts == [] and made < len(stack.items(""))
    gone = dev.run("destroy", "--yes", "--skip-preview", timeout=UP_SECONDS)
    assert gone.code == 0, gone.text
    assert stack.families().keys() == {"base", "app"}
    assert changes(stack) == {}
