"""A cluster of slurm-gcp 4 as rcc-tf deploys it, with its scripts as they are: ``make test-rcc SLURM_GCP=<checkout>``.

The controller boots from its instance's metadata, as Terraform would have made it. All that follows is done by the
scripts: they configure Slurm, its resume.py asks the fake Compute Engine for nodes, these boot and join, a job of two
nodes runs, and suspend.py deletes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_google.cloud import Cloud
from tests.machines.slurm_gcp import (
    ACCOUNT,
    CHECKOUT,
    CLUSTER,
    CONTROLLER,
    IS_4,
    MACHINE_TYPE,
    OFF,
    SCOPES,
    UNITS,
    ZONE,
    Design,
    Run,
    cluster,
    image_path,
    probe,
)

pytestmark = [pytest.mark.slow, pytest.mark.rcc]

IMAGE = image_path("rcc-debian")
NODES = (f"{CLUSTER}-compute-0-0", f"{CLUSTER}-compute-0-1")
# Metadata of the controller, and the files of slurm-gcp that it holds: tf/modules/controller/main.tf, aca577d.
FILES = {
    "cgroup_conf_tpl": "etc/cgroup.conf.tpl",
    "custom-compute-install": "scripts/custom-compute-install",
    "custom-controller-install": "scripts/custom-controller-install",
    "setup-script": "scripts/setup.py",
    "slurm-resume": "scripts/resume.py",
    "slurm-suspend": "scripts/suspend.py",
    "slurm_conf_tpl": "etc/slurm.conf.tpl",
    "slurmdbd_conf_tpl": "etc/slurmdbd.conf.tpl",
    "slurmsync": "scripts/slurmsync.py",
    "startup-script": "scripts/startup.sh",
    "util-script": "scripts/util.py",
}
PARTITION = {
    **dict.fromkeys(("cpu_platform", "gpu_type", "instance_template", "regional_policy", "bandwidth_tier")),
    **dict.fromkeys(("exclusive", "enable_placement", "preemptible_bursting", "regional_capacity"), False),
    "name": "debug",
    "machine_type": MACHINE_TYPE,
    "max_node_count": len(NODES),
    "static_node_count": 0,
    "zone": ZONE,
    "image": IMAGE,
    "image_hyperthreads": True,
    "compute_disk_type": "pd-standard",
    "compute_disk_size_gb": 20,
    "compute_labels": {},
    "gpu_count": 0,
    "network_storage": [],
    "vpc_subnet": "default",
}
CONFIG = {
    **dict.fromkeys(("cloudsql", "jwt_key", "munge_key", "shared_vpc_host_project")),
    "cluster_name": CLUSTER,
    "complete_wait_time": 0,
    "compute_node_scopes": SCOPES,
    "compute_node_service_account": ACCOUNT,
    "controller_secondary_disk": False,
    "external_compute_ips": False,
    "login_network_storage": [],
    "login_node_count": 0,
    "network_storage": [],
    "partitions": [PARTITION],
    "project": "p",
    "region": "us-central1",
    "suspend_time": 60,
    "vpc_subnet": "default",
    "zone": ZONE,
}
UNITS_4 = (*UNITS, "cron")
PROBE = probe(UNITS_4, before='sleep 70 # slurmsync.py has run\nsay "idle $(nodes)"')


def files() -> dict[str, str]:
    return {key: (CHECKOUT / path).read_text(encoding="utf-8") for key, path in FILES.items()}


def controller() -> dict[str, Any]:
    """The instance that rcc-tf's module declares."""
    attributes = {"enable-oslogin": "TRUE", "VmDnsSetting": "GlobalOnly", "config": json.dumps(CONFIG), **files()}
    return {
        "name": CONTROLLER,
        "machineType": f"zones/{ZONE}/machineTypes/n1-standard-2",
        "tags": {"items": ["controller"]},
        "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": IMAGE}}],
        "networkInterfaces": [{"subnetwork": "projects/p/regions/us-central1/subnetworks/default"}],
        "serviceAccounts": [{"email": ACCOUNT, "scopes": SCOPES}],
        "metadata": {"items": [{"key": key, "value": value} for key, value in attributes.items()]},
    }


@pytest.fixture(scope="module")
def run(rcc_debian: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The cluster, after its job has run and its nodes are suspended."""
    design = Design(rcc_debian, controller(), NODES, PROBE)
    with cluster(design, Cloud(), tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.mark.skipif(not IS_4, reason="SLURM_GCP names no checkout of slurm-gcp 4")
class TestVersion4:
    """What the scripts and Slurm did."""

    def test_setup_started_all_services_of_the_controller(self, run: Run) -> None:
        assert "Done setting up controller" in run.console
        assert run.units() == dict.fromkeys(UNITS_4, "active")
        assert run.told()["cluster"] == CLUSTER

    def test_slurmsync_leaves_nodes_alone_that_are_switched_off(self, run: Run) -> None:
        assert run.told()["idle"] == OFF

    def test_resume_made_the_nodes_and_the_job_ran_on_both(self, run: Run) -> None:
        assert "compute.instances.bulkInsert" in [method for _at, method, _path in run.cloud.calls]
        assert run.told()["job"] == " ".join(["COMPLETED", *NODES])

    def test_suspend_deleted_them(self, run: Run) -> None:
        assert (run.deleted(), run.left()) == (sorted(NODES), [])
        assert run.told()["suspended"] == OFF
