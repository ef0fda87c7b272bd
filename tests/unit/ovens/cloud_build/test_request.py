from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from bakery import redaction
from bakery.errors import BakeFailed
from bakery.orders.model import bake_order
from bakery.ovens.cloud_build.request import GCLOUD_IMAGE, PACKER, build_request, packer_template
from bakery.plan.plan import make
from bakery.recipe import licence_servers
from bakery.recipe.model import Variant
from bakery.recipe.secrets import search
from bakery.recipe.substitutions import substitute
from bakery.recipe.templating import packer_arguments
from bakery.settings import Mirrors, NetworkSettings
from tests.support.every import every
from tests.support.plan_builders import LOCK, build, recipe, recipes, settings, template

GOOGLE = settings(google={"project": "p", "region": "us-central1"}).google


def request(**changes: Any) -> tuple[dict[str, Any], Any]:
    (image,) = make(settings(), recipes(recipe(**changes)), LOCK).images
    return build_request(bake_order(image), GOOGLE, "us-central1-a", "x.tar.gz", "session-1"), image


def bakes(made: dict[str, Any]) -> dict[str, Any]:
    """The step that runs Packer."""
    (step,) = (step for step in made["steps"] if "packer.json" in str(step["args"]))
    return dict(step)


def test_never_force_and_always_immutable_names() -> None:
    made, image = request()
    assert not re.search("-force|latest", json.dumps(made))
    assert made["substitutions"]["_IMAGE_NAME"] == image.name
    passed = packer_arguments(made)
    assert substitute(passed["image_name"], made["substitutions"]) == image.name


def test_packer_runs_where_gcloud_is_behind_the_step_that_fetches_it() -> None:
    given = build(_COMPILER="gcc")
    given["steps"][0] |= {"id": "Build Image", "waitFor": ["-"]}
    made, _ = request(build=given)
    first, step = made["steps"]
    assert first["id"] == "Fetch Packer"
    assert (step["name"], step["entrypoint"], step["waitFor"]) == (GCLOUD_IMAGE, PACKER, ["Fetch Packer"])
    assert step["args"][-1] == "${_PKG_PATH}/packer.json"
    assert "PACKER_NO_COLOR=1" in step["env"], "else the log is full of escape codes, and so are messages from it"
    assert made["timeout"] == "3600s"


def test_a_recipe_that_fetches_packer_itself_keeps_its_steps() -> None:
    given = build(_COMPILER="gcc")
    fetch = {"id": "mine", "name": "p", "entrypoint": "sh", "args": ["-c", "packer plugins install x"]}
    given["steps"] = [fetch, {**given["steps"][0], "name": "own/image:1"}]
    made, _ = request(build=given)
    assert made["steps"][0] == {**fetch, "env": ["BAKERY_BUILD=$BUILD_ID"]}
    assert made["steps"][1]["name"] == "own/image:1"


def test_tests_are_left_out_and_all_other_steps_stay() -> None:
    given = build(_COMPILER="gcc")
    given["steps"] = [{"id": "get"}, *given["steps"], {"id": "test", "name": "gcr.io/x/fluid-run:1"}, {"id": "tell"}]
    given["steps"] += [{"id": "pinned", "name": f"gcr.io/x/fluid-run@sha256:{'0' * 64}"}]
    made, _ = request(build=given)
    assert [step["id"] for step in made["steps"]] == ["Fetch Packer", "get", "Build Image", "tell"]


@pytest.mark.parametrize("version", ["", ":1.9", f"@sha256:{'0' * 64}", f":1.9@sha256:{'0' * 64}"])
def test_packers_own_image_becomes_gclouds_however_it_is_pinned(version: str) -> None:
    given = build(_COMPILER="gcc")
    given["steps"][0] |= {"name": f"docker.io/hashicorp/packer{version}"}
    made, _ = request(build=given)
    assert bakes(made)["name"] == GCLOUD_IMAGE


@pytest.mark.parametrize("name", ["r-docker.pkg.dev/p/bakery/bakery:0.1.0", "gcr.io/x/rcc-run@sha256:ab"])
def test_a_test_is_known_by_its_image_and_nobody_waits_for_it(name: str) -> None:
    given = build(_COMPILER="gcc")
    given["steps"][0]["id"] = "Build Image"
    tell = {"name": "alpine"}
    given["steps"] += [
        {"id": "test", "name": name, "waitFor": ["Build Image"]},
        {**tell, "id": "one", "waitFor": ["test"]},
        {**tell, "id": "two", "waitFor": ["Build Image", "test"]},
    ]
    made, _ = request(build=given)
    waits = {step["id"]: step.get("waitFor") for step in made["steps"]}
    assert waits == {"Fetch Packer": ["-"], "Build Image": None, "one": None, "two": ["Build Image"]}


def test_a_shells_packer_loses_only_its_force() -> None:
    base = "-var source_image_family=debian-12 -var source_image_project=debian-cloud -var image_family=app"
    script = f"cd x\npacker build -force -on-error=abort {base} packer.json"
    made, _ = request(build={"steps": [{"name": "hashicorp/packer", "entrypoint": "bash", "args": ["-c", script]}]})
    step = bakes(made)
    assert (step["name"], step["entrypoint"]) == (GCLOUD_IMAGE, "bash")
    assert step["args"][1].split() == script.replace("-force", "").split()


def test_what_no_argument_hands_on_is_the_templates_default() -> None:
    given = build()
    words = given["steps"][0]["args"]
    at = words.index("compiler=${_COMPILER}")
    del words[at - 1 : at + 1]
    variant = Variant("a", {"_COMPILER": "c$x"})
    (image,) = make(settings(), recipes(recipe(build=given, variants=(variant,))), LOCK).images
    template = packer_template(bake_order(image), GOOGLE, "us-central1-a")
    assert template["variables"]["compiler"] == "c$x"
    assert not {"image_family", "source_image_family"} & set(template["builders"][0])


OWN = "packer plugins install github.com/hashicorp/googlecompute"


@pytest.mark.parametrize(
    ("fetch", "deadline"),
    [("", True), (OWN, True), (f"{OWN} v1.2.5", True), (f"{OWN} 2.0.1", True), (f"{OWN} v1.1.9", False)],
    ids=["the bakery's", "newest", "1.2", "2.0", "1.1"],
)
def test_the_machine_is_called_after_its_build_and_ends_whatever_becomes_of_it(fetch: str, deadline: bool) -> None:
    given = build(_COMPILER="gcc")
    given["steps"] = [*([{"name": "p", "args": ["-c", fetch]}] if fetch else []), *given["steps"]]
    (image,) = make(settings(), recipes(recipe(build=given)), LOCK).images
    order = bake_order(image)
    template = packer_template(order, GOOGLE, "us-central1-a")
    (builder,) = template["builders"]
    assert builder["instance_name"] == "bake-{{user `bakery_build`}}"
    assert template["variables"]["bakery_build"] == "{{env `BAKERY_BUILD`}}"
    steps = build_request(order, GOOGLE, "us-central1-a", "x.tar.gz", "session-1")["steps"]
    assert every("BAKERY_BUILD=$BUILD_ID" in step["env"] for step in steps if step.get("id") != "Fetch Packer")
    ends = {key: builder.get(key) for key in ("max_run_duration_in_seconds", "instance_termination_action")}
    assert set(ends.values()) == ({order.timeout + 600, "DELETE"} if deadline else {None})


def test_a_substitution_that_nobody_sets_gets_the_templates_default() -> None:
    whole = recipe()
    values = {key: value for key, value in whole.substitutions.items() if key != "_COMPILER"}
    (image,) = make(settings(), recipes(replace(whole, substitutions=values)), LOCK).images
    made = build_request(bake_order(image), GOOGLE, "us-central1-a", "x.tar.gz", "session-1")
    assert made["substitutions"]["_COMPILER"] == image.variables["compiler"] == "gcc"


def test_the_recipe_is_not_changed() -> None:
    given = build(_COMPILER="gcc")
    before = json.dumps(given)
    request(build=given)
    assert json.dumps(given) == before


def test_what_the_recipe_downloads_is_kept_unless_it_keeps_something_itself() -> None:
    assert "artifacts" not in request()[0]
    lock = {"type": "file", "direction": "download", "source": "/opt/spack.lock", "destination": "app/spack.lock"}
    given = recipe()
    given = replace(given, template={**given.template, "provisioners": [*given.template["provisioners"], lock]})
    (image,) = make(settings(), recipes(given), LOCK).images
    made = build_request(bake_order(image), GOOGLE, "us-central1-a", "x.tar.gz", "s")
    assert made["artifacts"]["objects"] == {
        "location": f"gs://p-bakery-logs/kept/{image.name}/",
        "paths": ["app/spack.lock"],
    }
    own = replace(bake_order(image), build={**image.build, "artifacts": {"images": ["a"]}})
    assert build_request(own, GOOGLE, "us-central1-a", "x.tar.gz", "s")["artifacts"] == {"images": ["a"]}


def test_options_of_a_region_are_left_out_of_a_build_of_none() -> None:
    given = build(_COMPILER="gcc")
    pool = {"name": "projects/p/locations/us-central1/workerPools/w"}
    given["options"] = {"pool": pool, "defaultLogsBucketBehavior": "REGIONAL_USER_OWNED_BUCKET", "diskSizeGb": "200"}
    made, _ = request(build=given)
    assert made["options"] == {"diskSizeGb": "200", "logging": "GCS_ONLY", "substitutionOption": "ALLOW_LOOSE"}


def test_a_build_of_the_stacks_pool_has_mirrors_and_the_proxy() -> None:
    mirrors = Mirrors({"http://a.example/debian": "http://m.example/d"}, containers={"docker.io": "m.example/docker"})
    network = NetworkSettings("http://p.example:3128", mirrors=mirrors._replace(packer_plugins="https://m.example/gh"))
    google = GOOGLE._replace(worker_pool="projects/n/locations/us-central1/workerPools/w")
    given = build(_COMPILER="gcc")
    given["options"] = {"env": ["OWN=1"], "pool": {"name": "projects/p/locations/us-central1/workerPools/other"}}
    (image,) = make(settings(), recipes(recipe(build=given)), LOCK).images
    order = bake_order(image)
    made = build_request(order, google, "us-central1-a", "x.tar.gz", "s", network=network)
    assert made["options"]["pool"] == {"name": google.worker_pool}
    variables = made["options"]["env"]
    assert variables[0] == "http_proxy=http://p.example:3128"
    assert variables[-1] == "OWN=1"
    direct = next(one for one in variables if one.startswith("no_proxy="))
    assert {"m.example", ".googleapis.com", "metadata.google.internal"} <= set(direct.partition("=")[2].split(","))
    fetch = made["steps"][0]
    assert fetch["name"].startswith("m.example/docker/hashicorp/packer:")
    assert "wget -q https://m.example/gh/hashicorp/packer-plugin-googlecompute/releases/download/v" in fetch["args"][1]
    assert "packer plugins install github.com" not in fetch["args"][1]

    plain = packer_template(order, google, "us-central1-a")["provisioners"]
    first, *between, last = packer_template(order, google, "us-central1-a", network)["provisioners"]
    assert [one["type"] for one in between] == [one["type"] for one in plain]
    assert "http://m.example/d" in "".join(first["inline"])
    assert "http://a.example/debian" in "".join(last["inline"])


def test_a_secret_is_not_put_into_a_build_that_everybody_may_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_marks", {})
    (image,) = make(settings(), recipes(recipe()), LOCK).images
    name, value = max(image.variables.items(), key=lambda item: len(item[1]))
    redaction.hide({"spack.source": value})
    with pytest.raises(BakeFailed, match=f"the secret .*{name}.* would be readable"):
        build_request(bake_order(image), GOOGLE, "us-central1-a", "x.tar.gz", "session-1")


def test_images_are_stored_in_the_region_of_the_machine() -> None:
    """In the multi-region that Google chooses a policy on locations, or a key of one region, may refuse them."""
    (image,) = make(settings(), recipes(recipe()), LOCK).images
    (builder,) = packer_template(bake_order(image), GOOGLE, "europe-west4-a")["builders"]
    assert builder["image_storage_locations"] == ["europe-west4"]
    stored = GOOGLE._replace(storage_location="eu")
    (builder,) = packer_template(bake_order(image), stored, "europe-west4-a")["builders"]
    assert builder["image_storage_locations"] == ["eu"]


def test_os_login_changes_how_packer_logs_in_and_no_digest() -> None:
    (image,) = make(settings(), recipes(recipe()), LOCK).images
    order = bake_order(image)
    with_login = GOOGLE._replace(os_login=True)
    (builder,) = packer_template(order, with_login, "us-central1-a")["builders"]
    (plain,) = packer_template(order, GOOGLE, "us-central1-a")["builders"]
    assert builder["use_os_login"] and builder["metadata"]["enable-oslogin"] == "TRUE"
    assert "use_os_login" not in plain and plain["metadata"]["enable-oslogin"] == "false"
    (again,) = make(replace(settings(), google=with_login), recipes(recipe()), LOCK).images
    assert again.digest == image.digest


def test_a_step_for_another_builder_bakes_another_image() -> None:
    made = template()
    made["builders"] = [{**made["builders"][0], "name": name} for name in ("small", "large")]
    given = build()
    (step,) = given["steps"]
    given["steps"] = [{**step, "args": ["build", f"-only={name}", *step["args"][1:]]} for name in ("small", "large")]
    for image in make(settings(), recipes(recipe(template=made, build=given)), LOCK).images:
        order = bake_order(image)
        sent = build_request(order, GOOGLE, "us-central1-a", "x.tar.gz", "session-1")
        (bake,) = [step for step in sent["steps"] if "packer.json" in str(step["args"])]
        assert f"-only={image.template['builders'][0]['name']}" in bake["args"]


SECRETS = {
    "licence": {"secretManager": "hpl", "version": "3", "file": "~/hpl.key"},
    "key": {"secretManager": "projects/other/secrets/key", "version": "1", "environment": "KEY"},
}


def test_secrets_are_given_by_secret_manager_to_the_steps_that_run_packer_alone() -> None:
    given = build(_COMPILER="gcc")
    given["steps"] = [{"id": "get", "name": "alpine", "args": ["ls"]}, {**given["steps"][0], "secretEnv": ["OWN"]}]
    own = {"versionName": "projects/p/secrets/own/versions/1", "env": "OWN"}
    made, _ = request(build=given | {"availableSecrets": {"secretManager": [own]}}, secrets=SECRETS)
    assert made["availableSecrets"]["secretManager"] == [
        own,
        {"versionName": "projects/other/secrets/key/versions/1", "env": "BAKERY_SECRET_0"},
        {"versionName": "projects/p/secrets/hpl/versions/3", "env": "BAKERY_SECRET_1"},
    ]
    names = {step["id"]: step.get("secretEnv") for step in made["steps"] if "id" in step}
    assert names.pop("get") is names.pop("Fetch Packer") is None
    assert bakes(made)["secretEnv"] == ["OWN", "BAKERY_SECRET_0", "BAKERY_SECRET_1"]
    assert "hpl.key" not in json.dumps(made)
    plain, _ = request()
    assert "availableSecrets" not in plain
    assert "secretEnv" not in bakes(plain)


@pytest.mark.parametrize("hcl2", [False, True])
def test_the_machine_asks_the_licence_servers_before_all_else(hcl2: bool) -> None:
    extras = {"hcl2": {"file": "app.pkr.hcl", "types": {}}} if hcl2 else {}
    servers = {"27000@licence.example.org": "packages/app/recipe.yaml:3"}
    (image,) = make(settings(), recipes(recipe(secrets=SECRETS, licence_servers=servers)), LOCK).images
    order = replace(bake_order(image), template={**image.template, **extras})
    made = packer_template(order, GOOGLE, "us-central1-a")
    plain = packer_template(replace(order, licence_servers={}), GOOGLE, "us-central1-a")
    steps, own = (one["build"][0]["provisioner"] if hcl2 else one["provisioners"] for one in (made, plain))
    assert steps[1:] == own
    first = steps[0]["shell"] if hcl2 else steps[0]
    assert first["inline"] == licence_servers.provisioners(servers)[0]["inline"]


@pytest.mark.parametrize("hcl2", [False, True])
def test_packer_reads_secrets_from_its_environment_hides_them_and_brings_them_in_first(hcl2: bool) -> None:
    extras = {"hcl2": {"file": "app.pkr.hcl", "types": {}}} if hcl2 else {}
    (image,) = make(settings(), recipes(recipe(secrets=SECRETS)), LOCK).images
    order = replace(bake_order(image), template={**image.template, **extras})
    made = packer_template(order, GOOGLE, "us-central1-a")
    plain = packer_template(replace(order, secrets={}), GOOGLE, "us-central1-a")
    if hcl2:
        assert made["variable"]["bakery_secret_1"]["default"] == '${env("BAKERY_SECRET_1")}'
        assert made["variable"]["bakery_secret_1"]["sensitive"] is True
        steps, own = made["build"][0]["provisioner"], plain["build"][0]["provisioner"]
        file = {"content": "${var.bakery_secret_1}", "destination": "/dev/shm/bakery-secrets/licence"}
        assert steps[2] == {"file": file}
    else:
        assert made["variables"]["bakery_secret_1"] == "{{env `BAKERY_SECRET_1`}}"
        assert made["sensitive-variables"] == ["bakery_secret_0", "bakery_secret_1"]
        steps, own = made["provisioners"], plain["provisioners"]
        assert steps[2]["content"] == "{{user `bakery_secret_1`}}"
    assert steps[4:-1] == own
    last = steps[-1]["shell"] if hcl2 else steps[-1]
    assert last["inline"] == search()[0]["inline"]
    assert len(own) == 2
