"""Every security property of the declared infrastructure, asserted on what the program registers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks as runtime_mocks
from pulumi.runtime import resource

from bakery import __version__
from bakery.errors import InputError
from bakery.infrastructure import encryption, triggers
from bakery.infrastructure.grants import CUSTOM_ROLES, GRANTS, OS_LOGIN, RUNS_ONLY, SSH_ONLY, TAKER_GRANTS, Grant, On
from bakery.plan.model import ImagePlan, Plan
from bakery.plan.summary import Base
from bakery.recipe.model import SourceFile
from bakery.resources import sdk_noise
from bakery.settings import Settings, parse
from bakery.settings.google import SSH_TAG, TEST_TAG, Bucket, Duty
from tests.support.every import every

PRIMITIVE = {"roles/owner", "roles/editor", "roles/viewer"}

# What grants a role on a resource, and its input that names the resource.
MEMBERS = {
    On.PROJECT: ("projects/iAMMember:IAMMember", "project"),
    On.ACCOUNT: ("serviceaccount/iAMMember:IAMMember", "serviceAccountId"),
    On.BUCKET: ("bucketIAMMember:BucketIAMMember", "bucket"),
    On.DATASET: ("datasetIamMember:DatasetIamMember", "datasetId"),
    On.TOPIC: ("topicIAMMember:TopicIAMMember", "topic"),
    On.REPOSITORY: ("repositoryIamMember:RepositoryIamMember", "repository"),
    On.CONNECTION: ("connectionIAMMember:ConnectionIAMMember", "name"),
}
ONLY = {
    None: "",
    SSH_ONLY: "destination.port == 22",
    RUNS_ONLY: 'resource.name.startsWith("projects/_/buckets/p-bakery-artifacts/objects/runs/")',
}


@dataclass
class Recorder(pulumi.runtime.Mocks):
    """Keeps what is registered: (type, name, inputs), what each name depends on, and what bakes wait for."""

    made: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    needs: dict[str, set[str]] = field(default_factory=dict)
    ready: list[str] = field(default_factory=list)

    def new_resource(self, args: runtime_mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.made.append((args.typ, args.name, args.inputs))
        outputs = {
            "email": f"{args.inputs.get('accountId')}@p.iam.gserviceaccount.com",
            "selfLink": f"link/{args.name}",
        }
        if args.typ.endswith(":ServiceIdentity"):
            outputs["email"] = f"service-1@gcp-sa-{args.inputs['service'].partition('.')[0]}.iam.gserviceaccount.com"
        return f"{args.name}-id", {**outputs, **args.inputs, "name": args.inputs.get("name", args.name)}

    def call(self, args: runtime_mocks.MockCallArgs) -> dict[str, Any]:
        if args.token == "gcp:storage/getProjectServiceAccount:getProjectServiceAccount":  # which makes the account
            return {"emailAddress": "service-1@gs-project-accounts.iam.gserviceaccount.com"}
        raise AssertionError(f"the program must not look anything up: {args.token}")

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The inputs of all resources whose type ends with ``kind``."""
        return [inputs for typ, _, inputs in self.made if typ.endswith(kind)]


def settings(**google: Any) -> Settings:
    values = {"project": "p", "region": "us-central1", "repository": "o/r", **google}
    return parse({"oven": "cloud-build", "google": values}, "gcp", Path())


def image(family: str, base: Base, *paths: str) -> ImagePlan:
    files = tuple(SourceFile(path, 0o644, "0" * 64, Path(path).absolute()) for path in paths)
    return ImagePlan(
        package=family,
        variant="",
        family=family,
        name=f"{family}-1",
        digest="1" * 64,
        base=base,
        template={},
        template_path=f"packages/{family}/packer.json",
        build={},
        variables={},
        substitutions={},
        files=files,
        labels={},
        inputs={},
        timeout=3600,
        folder=Path("packages", family).absolute(),
    )


PLAN = Plan(
    (
        image("rcc-debian", Base("debian-12", "debian-12-v1", "id:1", "debian-cloud"), "common/etc/sysctl.conf"),
        image("hpcc", Base("rcc-debian", "rcc-debian-1", "1" * 64), "packages/hpcc/install.sh"),
    )
)


@pytest.fixture(scope="module", autouse=True)
def quiet_sdk() -> Iterator[None]:
    """As in the program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi.log, "debug", pulumi.log.debug)  # put back afterwards
        patch.setattr(resource, "_get_stack_trace", resource._get_stack_trace)
        sdk_noise.silence_debug()
        sdk_noise.omit_stack_traces()
        yield


@pytest.fixture(scope="module")
def declared() -> Iterator[Recorder]:
    yield from _declared(settings())


def _declared(given: Settings, plan: Plan = PLAN) -> Iterator[Recorder]:
    from bakery.infrastructure.bakery import declare

    recorder = Recorder()
    noted: list[list[str]] = []
    pulumi.runtime.set_mocks(recorder, project="image-bakery", stack="gcp", preview=False)
    monitor: Any = pulumi.runtime.settings.get_monitor()
    register = monitor.RegisterResource

    def registered(request: Any) -> Any:
        if request.custom:
            recorder.needs[request.name] = {urn.rpartition("::")[2] for urn in request.dependencies}
        return register(request)

    monitor.RegisterResource = registered

    @pulumi.runtime.test
    def program() -> pulumi.Output[Any]:
        ready = declare(given, plan, noted.append)
        recorder.ready += [resource._name for resource in ready]
        return pulumi.Output.all(*[resource.urn for resource in ready])

    program()
    # Bakes do not wait for the grant of CI, which an `up` does not need.
    names = [name for typ, name, _ in recorder.made if typ.lower().endswith("iammember")]
    granted = [name for name in names if not name.startswith("federation-") and "-q-iam-" not in name]
    assert [len(texts) for texts in noted] == [len(granted) + len(CUSTOM_ROLES)]  # their permissions may change, too
    yield recorder


def test_a_taker_gets_the_two_roles_of_the_table_and_nobody_else_any() -> None:
    (made,) = _declared(settings(takers=["bakery-deploy@q.iam.gserviceaccount.com"]))
    member = "serviceAccount:bakery-deploy@q.iam.gserviceaccount.com"
    given = {
        (inputs["role"], inputs.get("bucket") or inputs.get("project"))
        for _, _, inputs in made.made
        if inputs.get("member") == member
    }
    assert given == {("roles/compute.imageUser", "p"), ("roles/storage.objectViewer", "p-bakery-artifacts")}
    assert [(one.role, one.target) for one in TAKER_GRANTS] == [
        *(("roles/compute.imageUser", None), ("roles/storage.objectViewer", Bucket.ARTIFACTS)),
    ]


def test_there_are_no_keys_and_no_secrets(declared: Recorder) -> None:
    kinds = {typ for typ, _, _ in declared.made}
    assert not [kind for kind in kinds if "Key" in kind.rpartition(":")[2] or "secret" in kind.lower()]


def test_each_duty_has_an_account_of_its_own(declared: Recorder) -> None:
    accounts = {
        inputs["accountId"] for inputs in declared.of("serviceaccount/account:Account") + declared.of(":Account")
    }
    assert accounts == {f"bakery-{duty}" for duty in Duty}


def test_no_default_account_is_used_anywhere(declared: Recorder) -> None:
    text = repr(declared.made)
    assert "compute@developer" not in text
    assert "@cloudbuild.gserviceaccount" not in text


def test_no_primitive_role_and_nobody_unknown(declared: Recorder) -> None:
    members = [
        inputs
        for typ, _, inputs in declared.made
        if "iamMember" in typ.lower() or "IamMember" in typ or "IAMMember" in typ
    ]
    assert len(members) == len([one for one in GRANTS if one.on is not On.CONNECTION and one.role != OS_LOGIN])
    for member in members:
        assert member["role"] not in PRIMITIVE
        assert not member["role"].endswith(("admin", "Admin")), member
        assert member["member"].startswith("serviceAccount:bakery-")


def _place(grant: Grant) -> str:
    return {
        On.PROJECT: "p",
        On.ACCOUNT: f"projects/p/serviceAccounts/bakery-{grant.target}@p.iam.gserviceaccount.com",
        On.BUCKET: f"p-bakery-{grant.target}",
        On.DATASET: "rcc_run",
        On.TOPIC: "bakery-events",
        On.REPOSITORY: "bakery",
        On.CONNECTION: "c",
    }[grant.on]


SECOND = "projects/p/locations/europe-west1/connections/c/repositories/r"


@pytest.mark.parametrize("os_login", [False, True])
@pytest.mark.parametrize("repository", ["o/r", SECOND], ids=["github", "second-generation"])
def test_each_grant_of_the_table_is_declared_on_its_own_resource_with_its_condition(
    repository: str, os_login: bool
) -> None:
    (declared,) = _declared(settings(repository=repository, osLogin=os_login))
    found = [
        (on, member[place], member["role"], member["member"], member.get("condition", {}).get("expression", ""))
        for on, (kind, place) in MEMBERS.items()
        for member in declared.of(kind)
    ]
    wanted = [
        (
            grant.on,
            _place(grant),
            f"grants-{grant.role}" if grant.role in CUSTOM_ROLES else grant.role,
            f"serviceAccount:bakery-{grant.duty}@p.iam.gserviceaccount.com",
            ONLY[grant.condition],
        )
        for grant in GRANTS
        if (grant.on is not On.CONNECTION or repository == SECOND) and (grant.role != OS_LOGIN or os_login)
    ]
    assert sorted(found) == sorted(wanted)


def test_the_triggers_account_may_fetch_from_the_connection_of_a_second_generation_repository_alone() -> None:
    (declared,) = _declared(settings(repository=SECOND.replace("projects/p/", "projects/q/")))
    (member,) = declared.of("connectionIAMMember:ConnectionIAMMember")
    assert (member["project"], member["location"], member["name"]) == ("q", "europe-west1", "c")
    assert member["member"] == "serviceAccount:bakery-trigger@p.iam.gserviceaccount.com"


def test_custom_roles_hold_the_permissions_of_the_table_and_no_others(declared: Recorder) -> None:
    found = {role["roleId"]: tuple(role["permissions"]) for role in declared.of("iAMCustomRole:IAMCustomRole")}
    assert found == {name: permissions for name, (_, permissions) in CUSTOM_ROLES.items()}


def test_everything_is_made_in_the_project_and_the_region_of_the_stack(declared: Recorder) -> None:
    of_another = {"BucketIAMMember", "IAMMember"}  # what they are granted on says where
    for typ, name, inputs in declared.made:
        if typ.startswith("gcp:"):
            assert inputs.get("project") == "p" or typ.rpartition(":")[2] in of_another, name
    everywhere = ("Bucket", "Dataset", "Repository", "Trigger", "RepositoryIamMember")
    for kind in everywhere:
        assert {made["location"] for made in declared.of(f":{kind}")} == {"us-central1"}, kind
    for kind in ("Subnetwork", "Router", "RouterNat", "Job"):
        assert {made["region"] for made in declared.of(f":{kind}")} == {"us-central1"}, kind


def test_no_two_resources_have_one_name(declared: Recorder) -> None:
    named = [(typ, name) for typ, name, _ in declared.made]
    assert len(named) == len(set(named)) > 60


def test_the_services_are_enabled_and_stay_so_after_a_destroy(declared: Recorder) -> None:
    made = declared.of("service:Service")
    assert {f"{name}.googleapis.com" for name in ("compute", "cloudbuild", "iam", "iap", "storage")} <= {
        service["service"] for service in made
    }
    assert {service["disableOnDestroy"] for service in made} == {False}


def test_bakes_and_triggers_wait_for_one_resource_that_waits_for_all(declared: Recorder) -> None:
    (last,) = declared.ready
    triggers = {name for name in declared.needs if name.startswith("triggers")}
    waits = {last}
    while more := {name for one in waits for name in declared.needs[one]} - waits:
        waits |= more
    assert waits == declared.needs.keys() - triggers
    assert every(declared.needs[name] >= {last} for name in triggers)
    some = {name: needs for name, needs in declared.needs.items() if name != last}
    assert every(len(needs) <= 5 for needs in some.values()), "the engine writes all of them into the state each time"


def test_policies_are_only_added_to(declared: Recorder) -> None:
    replacing = [typ for typ, _, _ in declared.made if typ.lower().endswith(("iambinding", "iampolicy"))]
    assert replacing == []


def test_custom_roles_grant_no_policy_on_the_project_and_no_wildcard() -> None:
    for _, permissions in CUSTOM_ROLES.values():
        assert every("*" not in permission for permission in permissions)
        assert not [p for p in permissions if p.startswith(("resourcemanager.", "iam."))]


def test_the_machine_that_is_baked_may_not_touch_compute() -> None:
    roles = {grant.role for grant in GRANTS if grant.duty in (Duty.MACHINE, Duty.TEST)}
    assert roles <= {"roles/storage.objectViewer", "roles/storage.objectUser"}


def test_who_only_looks_for_images_may_not_change_them() -> None:
    changing = {"bakeryLibrarian", "bakeryTester", "bakeryBaker"}
    assert not [grant for grant in GRANTS if grant.duty is Duty.TRIGGER and grant.role in changing]
    assert every(word.endswith((".get", ".getFromFamily", ".list")) for word in CUSTOM_ROLES["bakeryReader"][1])


def test_only_the_builders_account_pushes_the_image_that_triggers_run() -> None:
    pushing = [grant.duty for grant in GRANTS if grant.role == "roles/artifactregistry.writer"]
    assert pushing == [Duty.BUILDER]
    assert not [grant for grant in GRANTS if grant.target is Duty.BUILDER], "no build can run as it by itself"


def test_iap_is_for_ssh_only(declared: Recorder) -> None:
    tunnels = [m for m in declared.of("iAMMember:IAMMember") if m["role"] == "roles/iap.tunnelResourceAccessor"]
    assert [tunnel["condition"]["expression"] for tunnel in tunnels] == ["destination.port == 22"]


def test_buckets_are_private_uniform_versioned_and_swept(declared: Recorder) -> None:
    buckets = declared.of("bucket:Bucket")
    assert {bucket["name"] for bucket in buckets} == {f"p-bakery-{purpose}" for purpose in Bucket}
    for bucket in buckets:
        assert bucket["uniformBucketLevelAccess"] is True
        assert bucket["publicAccessPrevention"] == "enforced"
        assert bucket["versioning"] == {"enabled": True}
        assert [rule["action"] for rule in bucket["lifecycleRules"]] == [{"type": "Delete"}] * len(
            bucket["lifecycleRules"]
        )


def test_by_age_only_sources_and_logs_go_and_of_the_rest_only_what_was_written_over(declared: Recorder) -> None:
    written_over = {"daysSinceNoncurrentTime": 30, "withState": "ARCHIVED"}
    found = {
        bucket["labels"]["bakery"]: [rule["condition"] for rule in bucket["lifecycleRules"]]
        for bucket in declared.of("bucket:Bucket")
    }
    assert found == {
        "sources": [written_over, {"age": 90}],
        "logs": [written_over, {"age": 365}],
        "spack-cache": [written_over],
        "artifacts": [written_over],
    }


def test_the_image_that_triggers_run_is_never_another_under_the_same_tag(declared: Recorder) -> None:
    (repository,) = declared.of("repository:Repository")
    assert (repository["format"], repository["dockerConfig"]) == ("DOCKER", {"immutableTags": True})
    image = f"us-central1-docker.pkg.dev/p/{repository['repositoryId']}/bakery:{__version__}"
    for trigger in declared.of("trigger:Trigger"):
        assert [step["name"] for step in trigger["build"]["steps"]] == [image]


def test_a_key_of_ones_own_encrypts_everything_at_rest() -> None:
    (declared,) = _declared(settings(kmsKey="projects/p/locations/us/keyRings/r/cryptoKeys/k"))
    key = "projects/p/locations/us/keyRings/r/cryptoKeys/k"
    assert {bucket["encryption"]["defaultKmsKeyName"] for bucket in declared.of("bucket:Bucket")} == {key}
    assert declared.of("dataset:Dataset")[0]["defaultEncryptionConfiguration"] == {"kmsKeyName": key}
    assert [topic["kmsKeyName"] for topic in declared.of("topic:Topic")] == [key] * 2
    assert [one["kmsKeyName"] for one in declared.of("repository:Repository")] == [key]
    grants = declared.of("cryptoKeyIAMMember:CryptoKeyIAMMember")
    assert {(one["cryptoKeyId"], one["role"]) for one in grants} == {(key, encryption.ROLE)}
    assert len({one["member"] for one in grants}) == 5
    members = {f"encryption-key-{service}" for service in (*encryption.IDENTITIES, "storage", "compute")}
    encrypted = ("storage-sources", "storage-repository", "results-dataset", "results-events")
    assert every(declared.needs[name] >= members for name in encrypted), "refused without the grants"


def test_the_grants_on_a_key_of_another_project_are_its_owners() -> None:
    (declared,) = _declared(settings(kmsKey="projects/q/locations/us/keyRings/r/cryptoKeys/k"))
    assert declared.of("cryptoKeyIAMMember:CryptoKeyIAMMember") == []
    assert len(declared.of("serviceIdentity:ServiceIdentity")) == len(encryption.IDENTITIES)


def test_nothing_is_open_to_the_internet(declared: Recorder) -> None:
    for rule in declared.of("firewall:Firewall"):
        assert rule.get("sourceRanges", []) in ([], ["35.235.240.0/20"])
        assert rule.get("sourceRanges") or rule.get("sourceTags")
        assert rule["targetTags"]
    assert declared.of("network:Network")[0]["autoCreateSubnetworks"] is False
    assert declared.of("subnetwork:Subnetwork")[0]["privateIpGoogleAccess"] is True
    assert len(declared.of("routerNat:RouterNat")) == 1
    assert not [typ for typ, _, _ in declared.made if "address" in typ.lower()]


def test_the_firewall_lets_in_ssh_from_iap_and_the_machines_of_test_clusters_among_themselves(
    declared: Recorder,
) -> None:
    found = {rule["name"]: rule for rule in declared.of("firewall:Firewall")}
    assert {(rule["direction"], rule["network"]) for rule in found.values()} == {("INGRESS", "link/network-network")}
    ssh, inside = found.pop("bakery-ssh-from-iap"), found.pop("bakery-inside-test-clusters")
    assert found == {}
    assert (ssh["sourceRanges"], ssh["targetTags"]) == (["35.235.240.0/20"], [SSH_TAG])
    assert ssh["allows"] == [{"protocol": "tcp", "ports": ["22"]}]
    assert (inside["sourceTags"], inside["targetTags"]) == ([TEST_TAG], [TEST_TAG])
    assert "sourceRanges" not in inside
    assert inside["allows"] == [{"protocol": "tcp"}, {"protocol": "udp"}, {"protocol": "icmp"}]


def test_the_way_out_is_for_machines_of_the_bakerys_subnetwork_alone(declared: Recorder) -> None:
    (nat,) = declared.of("routerNat:RouterNat")
    assert nat["sourceSubnetworkIpRangesToNat"] == "LIST_OF_SUBNETWORKS"
    assert nat["subnetworks"] == [{"name": "link/network-subnetwork", "sourceIpRangesToNats": ["ALL_IP_RANGES"]}]
    assert declared.of("subnetwork:Subnetwork")[0]["logConfig"]["flowSampling"] > 0, "and its flows are logged"
    assert nat["router"] == declared.of("router:Router")[0]["name"]


def test_a_network_of_ones_own_gets_the_subnetwork_and_the_firewall() -> None:
    (declared,) = _declared(settings(network="projects/p/global/networks/mine"))
    assert declared.of("network:Network") == []
    made = declared.of("firewall:Firewall") + declared.of("subnetwork:Subnetwork") + declared.of("router:Router")
    assert [one["network"] for one in made] == ["projects/p/global/networks/mine"] * 4


def test_the_results_are_partitioned_and_protected(declared: Recorder) -> None:
    (table,) = declared.of("table:Table")
    assert table["timePartitioning"] == {"type": "MONTH", "field": "datetime"}
    assert table["deletionProtection"] is True
    assert '"name": "command_group"' in table["schema"]


def test_a_trigger_for_each_image_with_what_it_stands_on(declared: Recorder) -> None:
    found = {trigger["name"]: trigger for trigger in declared.of("trigger:Trigger")}
    assert set(found) == {"bake-rcc-debian", "bake-hpcc", "bakery-preview", "bakery-newer-bases"}
    files = found["bake-hpcc"]["includedFiles"]  # what they are made of: tests/unit/plan/test_trigger_paths.py
    assert {"packages/hpcc/install.sh", "packages/rcc-debian/packer.json", "common/etc/sysctl.conf"} <= set(files)
    assert {"bakery.lock", "Pulumi.gcp.yaml"} <= set(files)
    assert "packages/hpcc/install.sh" not in found["bake-rcc-debian"]["includedFiles"]
    assert "packages/**" in found["bakery-preview"]["includedFiles"]
    assert found["bake-hpcc"]["build"]["steps"][0]["args"] == ["bake", "hpcc", "--stack", "gcp"]
    for trigger in found.values():
        assert trigger["serviceAccount"].endswith("bakery-trigger@p.iam.gserviceaccount.com")


def test_builds_of_triggers_run_in_the_private_pool() -> None:
    pool = "projects/n/locations/us-central1/workerPools/w"
    (declared,) = _declared(settings(workerPool=pool))
    found = declared.of("trigger:Trigger")
    assert len(found) == 4
    assert every(one["build"]["options"]["pool"] == {"name": pool} for one in found)


def test_a_pool_of_another_region_than_the_triggers_is_refused() -> None:
    with pytest.raises(InputError, match=r"google\.workerPool is in europe-west1, and the triggers are in us-central1"):
        settings(workerPool="projects/n/locations/europe-west1/workerPools/w")


EVENTS = [("o/r", "github", {"owner": "o", "name": "r"}), (SECOND, "repositoryEventConfig", {"repository": SECOND})]


@pytest.mark.parametrize(("repository", "key", "where"), EVENTS, ids=["github", "second-generation"])
def test_a_bake_needs_a_push_to_the_branch_and_a_strangers_pull_request_runs_nothing(
    repository: str, key: str, where: dict[str, str]
) -> None:
    (declared,) = _declared(settings(repository=repository, branch="release"))
    found = {trigger["name"]: trigger for trigger in declared.of("trigger:Trigger")}
    for family in ("rcc-debian", "hpcc"):
        assert found[f"bake-{family}"][key] == {**where, "push": {"branch": "^release$"}}
    control = "COMMENTS_ENABLED_FOR_EXTERNAL_CONTRIBUTORS_ONLY"
    assert found["bakery-preview"][key] == {
        **where,
        "pullRequest": {"branch": "^release$", "commentControl": control},
    }
    others = {"github", "repositoryEventConfig"} - {key}
    assert not [trigger for trigger in found.values() if others & set(trigger)]


@pytest.mark.parametrize(
    ("repository", "source"), [("o/r", {"uri": "https://github.com/o/r"}), (SECOND, {"repository": SECOND})]
)
def test_newer_bases_are_looked_for_on_the_schedule_and_on_the_branch(repository: str, source: dict[str, str]) -> None:
    (declared,) = _declared(settings(repository=repository, branch="release", schedule="0 5 * * 2"))
    (job,) = declared.of("job:Job")
    assert (job["schedule"], job["timeZone"]) == ("0 5 * * 2", "Etc/UTC")
    (trigger,) = [t for t in declared.of("trigger:Trigger") if t["name"] == "bakery-newer-bases"]
    assert trigger["pubsubConfig"] == {"topic": job["pubsubTarget"]["topicName"]}
    assert trigger["sourceToBuild"] == {"ref": "refs/heads/release", "repoType": "GITHUB", **source}
    assert trigger["build"]["steps"][0]["args"] == ["lock", "--check", "--stack", "gcp"]


def test_more_triggers_than_a_project_may_have_are_told_before_google_refuses_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: told.append(text))
    monkeypatch.setattr(triggers, "MOST", 4)
    list(_declared(settings()))
    assert told == []
    monkeypatch.setattr(triggers, "MOST", 3)
    list(_declared(settings()))
    shown = [text.partition(";")[0] for text in told]
    assert shown == ["4 triggers are needed, and Cloud Build allows 3 for a project"]


def test_the_triggers_of_a_second_generation_repository_are_in_its_region() -> None:
    (declared,) = _declared(settings(repository=SECOND))
    assert {trigger["location"] for trigger in declared.of("trigger:Trigger")} == {"europe-west1"}
    assert {job["region"] for job in declared.of("job:Job")} == {"us-central1"}


def test_a_family_may_be_called_as_one_of_the_other_triggers() -> None:
    base = Base("debian-12", "debian-12-v1", "id:1", "debian-cloud")
    plan = Plan((image("preview", base), image("newer-bases", base), image("newer-bases-trigger", base)))
    (declared,) = _declared(settings(), plan)
    found = [(name, inputs["name"]) for typ, name, inputs in declared.made if typ.endswith("trigger:Trigger")]
    assert len({name for name, _ in found}) == len({called for _, called in found}) == 5


def test_a_trigger_has_time_for_all_that_its_image_stands_on_and_never_more_than_a_build_may_take() -> None:
    base, middle, top = (replace(one, timeout=1800) for one in (*PLAN.images, image("x", Base("hpcc", "hpcc-1", "1"))))
    (declared,) = _declared(settings(), Plan((base, middle, top)))
    found = {trigger["name"]: trigger["build"]["timeout"] for trigger in declared.of("trigger:Trigger")}
    assert (found["bake-rcc-debian"], found["bake-hpcc"], found["bake-x"]) == ("5400s", "7200s", "9000s")
    (declared,) = _declared(settings(), Plan((replace(base, timeout=86_400),)))
    assert {trigger["build"]["timeout"] for trigger in declared.of("trigger:Trigger")} == {"86400s", "600s"}


def test_a_branch_is_watched_by_its_name_whatever_that_means_as_a_pattern() -> None:
    (declared,) = _declared(settings(branch="v1.0+gpu"))
    (trigger,) = [t for t in declared.of("trigger:Trigger") if t["name"] == "bake-hpcc"]
    pattern = trigger["github"]["push"]["branch"]
    assert [name for name in ("v1.0+gpu", "v1x0+gpu", "v1.00gpu") if re.search(pattern, name)] == ["v1.0+gpu"]


def test_an_empty_value_means_that_one_is_made() -> None:
    (declared,) = _declared(settings(buckets={"logs": ""}, accounts={"bake": ""}))
    assert len(declared.of("bucket:Bucket")) == len(Bucket)
    assert len(declared.of(":Account")) == len(Duty)


def test_what_is_given_is_not_made() -> None:
    given = {
        "subnetwork": "projects/p/regions/r/subnetworks/mine",
        "buckets": {"logs": "my-logs", "artifacts": "my-artifacts"},
        "accounts": {"bake": "my-bake@p.iam.gserviceaccount.com"},
        "table": "rcc.runs",
        "topic": "my-events",
        "registry": "my-images",
        "repository": "",
    }
    (declared,) = _declared(settings(**given))
    assert declared.of("network:Network") == []
    assert "p-bakery-logs" not in {bucket["name"] for bucket in declared.of("bucket:Bucket")}
    assert "bakery-bake" not in {account["accountId"] for account in declared.of(":Account")}
    assert declared.of("trigger:Trigger") == []
    for kind in ("dataset:Dataset", "table:Table", "topic:Topic", "repository:Repository"):
        assert declared.of(kind) == []
    assert {grant["datasetId"] for grant in declared.of("datasetIamMember:DatasetIamMember")} == {"rcc"}
    assert {grant["topic"] for grant in declared.of("topicIAMMember:TopicIAMMember")} == {"my-events"}
    assert {grant["repository"] for grant in declared.of("repositoryIamMember:RepositoryIamMember")} == {"my-images"}
    conditions = [
        g["condition"]["expression"] for g in declared.of("bucketIAMMember:BucketIAMMember") if "condition" in g
    ]
    assert conditions == ['resource.name.startsWith("projects/_/buckets/my-artifacts/objects/runs/")']
    log_grants = [g for g in declared.of("bucketIAMMember:BucketIAMMember") if g["bucket"] == "my-logs"]
    assert {grant["member"] for grant in log_grants if grant["role"] == "roles/storage.objectUser"} == {
        "serviceAccount:my-bake@p.iam.gserviceaccount.com"
    }


def test_triggers_of_a_github_repository_are_where_it_is_connected() -> None:
    for given, place in (({}, "us-central1"), ({"triggersRegion": "global"}, "global")):
        (declared,) = _declared(settings(**given))
        assert {trigger["location"] for trigger in declared.of("trigger:Trigger")} == {place}
    (declared,) = _declared(settings(repository=SECOND, triggersRegion="global"))
    assert {trigger["location"] for trigger in declared.of("trigger:Trigger")} == {"europe-west1"}


def test_custom_roles_can_have_other_names() -> None:
    (declared,) = _declared(settings(roleSuffix="2"))
    found = {role["roleId"] for role in declared.of("iAMCustomRole:IAMCustomRole")}
    assert found == {f"{name}2" for name in CUSTOM_ROLES}
