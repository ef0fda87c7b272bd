"""The fake as slurm-gcp's scripts see it: https with Google's names, a discovery document, batches, many instances."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fake_google import compute, data, guest_gcloud
from tests.fake_google.cloud import Cloud
from tests.fake_google.front import Front
from tests.fake_google.server import serve

HOST = "compute.googleapis.com"
ZONE = "/compute/v1/projects/p/zones/us-central1-a"
IMAGE = "projects/p/global/images/rcc"
BATCH = """\
--part\r
Content-Type: application/http\r
Content-ID: <first>\r
\r
DELETE {zone}/instances/c-0?alt=json HTTP/1.1\r
Content-Type: application/json\r
\r
\r
--part\r
Content-Type: application/http\r
Content-ID: <second>\r
\r
DELETE {zone}/instances/gone?alt=json HTTP/1.1\r
\r
\r
--part--\r
"""


class Client:
    """Speaks https with the front, whose certificate it checks."""

    def __init__(self, front: Front, cloud: Cloud) -> None:
        self.cloud = cloud
        self.port = front.port
        self.context = ssl.create_default_context(cafile=str(front.certificate))

    def ask(self, method: str, path: str, body: str = "", kind: str = "application/json") -> tuple[int, str]:
        connection = http.client.HTTPSConnection(HOST, context=self.context)
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sock = self.context.wrap_socket(raw, server_hostname=HOST)
        connection.request(method, path, body, {"Content-Type": kind})
        with connection.getresponse() as answer:
            code, text = answer.status, answer.read().decode()
        connection.close()
        return code, text

    def json(self, method: str, path: str, body: Any = None) -> Any:
        code, text = self.ask(method, path, json.dumps(body) if body else "")
        assert code == 200, text
        return json.loads(text)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serve() as server:
        compute.add_image(server.cloud, f"compute/compute/v1/{IMAGE.rpartition('/')[0]}", {"name": "rcc"})
        server.cloud.addresses = {"c-0": "10.128.0.3"}
        front = Front(server.server_address[1], tmp_path)
        yield Client(front, server.cloud)
        front.stop()


def two_nodes(**more: Any) -> dict[str, Any]:
    disk = {"boot": True, "initializeParams": {"sourceImage": IMAGE}}
    properties = {"name": "notused", "disks": [disk], "networkInterfaces": [{}], "tags": {"items": ["compute"]}}
    return {"count": 2, "instanceProperties": properties, "perInstanceProperties": {"c-0": {}, "c-1": {}}, **more}


def test_older_clients_fetch_the_document_and_newer_ones_another_path(client: Client) -> None:
    for path in ("/discovery/v1/apis/compute/v1/rest", "/$discovery/rest?version=v1"):
        document = client.json("GET", path)
        assert (document["name"], document["version"]) == ("compute", "v1")
    assert client.ask("GET", "/discovery/v1/apis/none/v1/rest")[0] == 404


def test_instances_of_the_same_properties_get_their_names_and_addresses(client: Client) -> None:
    operation = client.json("POST", f"{ZONE}/instances/bulkInsert", two_nodes())
    done = client.json("POST", f"{ZONE}/operations/{operation['name']}/wait")
    assert (done["status"], done["operationType"]) == ("DONE", "bulkInsert")
    listed = client.json("GET", f"{ZONE}/instances?filter=name%3Dc-%2A")["items"]
    assert [(one["name"], one["status"], one["tags"]["items"]) for one in listed] == [
        ("c-0", "RUNNING", ["compute"]),
        ("c-1", "RUNNING", ["compute"]),
    ]
    assert listed[0]["networkInterfaces"][0]["networkIP"] == "10.128.0.3"
    assert client.json("GET", f"{ZONE}/instances?filter=name%3Dd-%2A").get("items", []) == []
    assert client.cloud.violations == []


def test_names_and_count_have_to_agree(client: Client) -> None:
    code, text = client.ask("POST", f"{ZONE}/instances/bulkInsert", json.dumps(two_nodes(count=3)))
    assert code == 400 and "resource.count" in text


def test_a_batch_answers_each_of_its_parts(client: Client) -> None:
    client.json("POST", f"{ZONE}/instances/bulkInsert", two_nodes())
    kind = "multipart/mixed; boundary=part"
    code, text = client.ask("POST", "/batch/compute/v1", BATCH.format(zone=ZONE), kind)
    first, second = text.split("--batch_of_the_fake")[1:3]
    assert code == 200
    assert "Content-ID: <response-first>" in first and "HTTP/1.1 200" in first and '"operationType": "delete"' in first
    assert "Content-ID: <response-second>" in second and "HTTP/1.1 404" in second
    assert [one["name"] for one in client.json("GET", f"{ZONE}/instances")["items"]] == ["c-1"]


TEMPLATE = "projects/p/global/instanceTemplates/nodes"


def of_template(client: Client, **own: Any) -> dict[str, Any]:
    """A request of resume.py of slurm-gcp 6, whose nodes have a template."""
    properties = {**two_nodes()["instanceProperties"], "labels": {"role": "compute"}, "machineType": "n1-standard-1"}
    template = {"name": "nodes", "properties": {**properties, "resourcePolicies": ["of-the-template"]}}
    client.cloud.items[f"compute/compute/v1/{TEMPLATE}"] = template
    named = {"sourceInstanceTemplate": f"https://www.googleapis.com/compute/v1/{TEMPLATE}", "minCount": 1}
    return {**two_nodes(**named), "instanceProperties": own}


def test_instances_of_a_template_have_its_properties_and_those_of_the_request_before_them(client: Client) -> None:
    zone = ZONE.replace("/v1/", "/beta/")
    operation = client.json("POST", f"{zone}/instances/bulkInsert", of_template(client, labels={"role": "other"}))
    assert operation["operationGroupId"]
    done = client.json("POST", f"{zone}/operations/{operation['name']}/wait")
    status = {"status": "DONE", "targetVmCount": 2, "createdVmCount": 2}
    assert done["instancesBulkInsertOperationMetadata"]["perLocationStatus"] == {"zones/us-central1-a": status}
    assert done["operationGroupId"] == operation["operationGroupId"]
    listed = client.json("GET", f"{zone}/instances?filter=name%3Ac-%2A")["items"]
    assert [(one["name"], one["labels"], one["tags"]["items"]) for one in listed] == [
        ("c-0", {"role": "other"}, ["compute"]),
        ("c-1", {"role": "other"}, ["compute"]),
    ]
    assert client.cloud.violations == []


def test_a_number_is_taken_as_a_label(client: Client) -> None:
    disk = {"initializeParams": {"sourceImage": IMAGE, "labels": {"slurm_job_id": 7}}}
    body = of_template(client, labels={"slurm_job_id": 7}, disks=[disk])
    client.json("POST", f"{ZONE}/instances/bulkInsert", body)
    made = client.json("GET", f"{ZONE}/instances/c-0")
    assert [made["labels"], made["disks"][0]["initializeParams"]["labels"]] == [{"slurm_job_id": "7"}] * 2
    code, text = client.ask(
        "POST", f"{ZONE}/instances/bulkInsert", json.dumps(of_template(client, labels={"other": 7}))
    )
    assert code == 400 and "labels.other is int, the discovery document says string" in text


def test_an_empty_object_in_place_of_an_empty_list_counts_as_nothing(client: Client) -> None:
    client.json("POST", f"{ZONE}/instances/bulkInsert", of_template(client, resourcePolicies={}))
    assert client.json("GET", f"{ZONE}/instances/c-0")["resourcePolicies"] == ["of-the-template"]
    code, text = client.ask("POST", f"{ZONE}/instances/bulkInsert", json.dumps(of_template(client, disks={})))
    assert code == 400 and "disks is dict, the discovery document says array" in text


def test_a_template_has_to_be_there(client: Client) -> None:
    body = {**of_template(client), "sourceInstanceTemplate": TEMPLATE.replace("nodes", "gone")}
    code, text = client.ask("POST", f"{ZONE}/instances/bulkInsert", json.dumps(body))
    assert code == 404 and "instanceTemplates/gone" in text


def test_a_machine_type_is_the_same_alone_and_in_the_list_of_all_zones(client: Client) -> None:
    zones = client.json("GET", "/compute/beta/projects/p/aggregated/machineTypes")["items"]
    (listed,) = (one for one in zones["zones/us-central1-a"]["machineTypes"] if one["name"] == "n1-standard-2")
    alone = client.json("GET", f"{ZONE}/machineTypes/n1-standard-2")
    assert {key: listed[key] for key in alone} == alone


def test_the_gcloud_of_a_machine_copies_objects_with_the_token_of_the_metadata_server(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.add_object(client.cloud, "b", "c-files/scripts.zip", b"content")
    asked = []

    def fetch(url: str, headers: Mapping[str, str]) -> bytes:
        asked.append(dict(headers))
        if url.startswith(guest_gcloud.METADATA):
            return b'{"access_token": "ya29.x"}'
        return client.ask("GET", url.removeprefix("https://storage.googleapis.com"))[1].encode()

    monkeypatch.setattr(guest_gcloud, "fetch", fetch)
    guest_gcloud.main(["storage", "cp", "gs://b/c-files/scripts.zip", str(tmp_path / "got")])
    assert (tmp_path / "got").read_bytes() == b"content"
    assert asked == [{"Metadata-Flavor": "Google"}, {"Authorization": "Bearer ya29.x"}]
    link = client.json("GET", "/storage/v1/b/b/o/c-files%2Fscripts.zip")["mediaLink"]
    assert link.startswith("https://storage.googleapis.com/download/")
    with pytest.raises(SystemExit, match="gcloud compute instances list: not known here"):
        guest_gcloud.main(["compute", "instances", "list"])
