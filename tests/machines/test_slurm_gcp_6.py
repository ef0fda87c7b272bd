"""A cluster of the Cluster Toolkit's slurm-gcp 6 with its scripts as they are: ``make test-rcc SLURM_GCP=<checkout>``.

What the Toolkit's modules make before the first machine boots is made here: the bucket with the configuration and the
scripts, the template of the nodes, the controller's instance. The scripts do the rest: they configure Slurm, its
resume.py asks the fake Compute Engine for nodes, these boot and join, a job of two nodes runs, suspend.py deletes them.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fake_google import data
from tests.fake_google.cloud import Cloud
from tests.machines.slurm_gcp import (
    ACCOUNT,
    CHECKOUT,
    CLUSTER,
    CONTROLLER,
    IS_6,
    MACHINE_TYPE,
    OFF,
    SCOPES,
    TOOLKIT,
    UNITS,
    ZONE,
    Design,
    Run,
    cluster,
    image_path,
    probe,
)

pytestmark = [pytest.mark.slow, pytest.mark.rcc]

IMAGE = image_path("rcc-debian-slurm-gcp-6")
NODESET = "nodes"
NODES = (f"{CLUSTER}-{NODESET}-0", f"{CLUSTER}-{NODESET}-1")
BUCKET, FOLDER = "slurm-bakery", f"{CLUSTER}-files"
SUBNETWORK = "https://www.googleapis.com/compute/v1/projects/p/regions/us-central1/subnetworks/default"
TEMPLATE = f"projects/p/global/instanceTemplates/{CLUSTER}-compute-{NODESET}-1"
STARTUP = CHECKOUT / "community/modules/internal/slurm-gcp/instance_template/files/startup_sh_unlinted"
# local.config of modules/slurm_files/main.tf, 1047080, with the defaults of the controller's variables.
CONFIG = {
    **dict.fromkeys(("accounting_storage_backup_host", "cloudsql_secret", "controller_network_attachment")),
    **dict.fromkeys(("google_app_cred_path", "install_dir", "munge_mount", "output_dir", "slurm_backup_controller_ip")),
    **dict.fromkeys(("slurm_backup_controller_name", "slurm_bin_dir", "slurm_control_addr", "slurm_control_host")),
    **dict.fromkeys(("slurm_key_mount", "slurm_log_dir")),
    **dict.fromkeys(("disable_default_mounts", "enable_bigquery_load", "enable_slurm_auth", "hybrid"), False),
    **{f"{kind}_scripts": [] for kind in ("epilog", "prolog", "task_epilog", "task_prolog")},
    "backup_controller_key_timeout": 300,
    "bucket_path": f"gs://{BUCKET}/{FOLDER}",
    "cloud_parameters": {"no_comma_params": False},
    "cluster_id": "f3a0b1f2-0000-4000-8000-000000000001",
    "compute_startup_scripts_timeout": 300,
    "controller_startup_scripts_timeout": 300,
    "controller_state_disk": {"device_name": None},
    "enable_debug_logging": True,
    "endpoint_versions": {"compute": "beta"},
    "extra_logging_flags": {},
    "network_storage": [],
    "project": "p",
    "slurm_cluster_name": CLUSTER,
    "slurm_control_host_port": "6818",
}
# local.nodesets of partition.tf, and what schedmd-slurm-gcp-v6-partition puts out.
NODESET_CONFIG = {
    **dict.fromkeys(("accelerator_topology", "instance_properties", "maintenance_interval", "placement_max_distance")),
    **dict.fromkeys(("enable_maintenance_reservation", "enable_opportunistic_maintenance"), False),
    "dws_flex": {"enabled": False, "max_run_duration": 600, "use_job_duration": False, "use_bulk_insert": False},
    "enable_placement": True,
    "future_reservation": "",
    "instance_properties_json": "null",
    "instance_template": f"https://www.googleapis.com/compute/beta/{TEMPLATE}",
    "network_storage": [],
    "node_conf": {},
    "node_count_dynamic_max": len(NODES),
    "node_count_static": 0,
    "nodeset_name": NODESET,
    "reservation_name": "",
    "subnetwork": SUBNETWORK,
    "zone_policy_allow": [ZONE],
    "zone_policy_deny": [f"us-central1-{letter}" for letter in "bcf"],
    "zone_target_shape": "ANY_SINGLE_ZONE",
}
PARTITION = {
    "enable_job_exclusive": True,
    "partition_conf": {"Default": "YES", "ResumeTimeout": 300, "SuspendTime": 300, "SuspendTimeout": 30},
    "partition_name": "debug",
    "partition_nodeset": [NODESET],
    "partition_nodeset_dyn": [],
    "partition_nodeset_tpu": [],
}
# setup.py gives most commands half a minute, which is too short for an emulated machine.
SLOWER = 4
UNITS_6 = (*UNITS, "slurmcmd.timer", "slurm_load_bq.timer")
PROBE = probe(
    UNITS_6,
    first="grep -q 'Done setting up' /var/log/slurm/setup.log || { say end && exit 1; }",
    after='say "reconciled $(grep -c reconciling /var/log/slurm/slurmsync.log)"',
)


def scripts(of: str) -> bytes:
    """The archive of the scripts of all controllers or all nodes, with the files that main.tf lists."""
    listed = re.search(rf"{of}_files = \[(.*?)\]", (TOOLKIT / "main.tf").read_text(encoding="utf-8"), re.DOTALL)
    assert listed is not None
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in re.findall(r'"([^"]+)"', listed[1]):
            archive.write(TOOLKIT / "scripts" / name, name)
    return content.getvalue()


def objects() -> dict[str, bytes]:
    """What is in the bucket, below the cluster's folder."""
    templates = {
        f"{name}_conf_tpl": (TOOLKIT / f"etc/{name}.conf.tpl").read_text(encoding="utf-8")
        for name in ("cgroup", "slurm", "slurmdbd")
    }
    configs = {
        "config": {**CONFIG, **templates},
        f"nodeset_configs/{NODESET}": NODESET_CONFIG,
        "partition_configs/debug": PARTITION,
    }
    return {
        **{f"{name}.yaml": yaml.safe_dump(config).encode() for name, config in configs.items()},
        "slurm-controller-script-ghpc_startup_sh": b"# no-op",
        f"slurm-nodeset-{NODESET}-script-ghpc_nodeset_startup_sh": b"# no-op",
        "slurm-gcp-devel-controller.zip": scripts("controller"),
        "slurm-gcp-devel.zip": scripts("compute"),
    }


def properties(role: str, machine_type: str) -> dict[str, Any]:
    """What the module instance_template makes for a role."""
    labels = {"slurm_cluster_name": CLUSTER, "slurm_instance_role": role}
    attributes = {
        "enable-oslogin": "TRUE",
        "google_disable_automatic_updates": "TRUE",
        "slurm_bucket_path": f"gs://{BUCKET}/{FOLDER}",
        "slurm_cluster_name": CLUSTER,
        "slurm_instance_role": role,
        "startup-script": STARTUP.read_text(encoding="utf-8"),
        "universe_domain": "googleapis.com",
    }
    disk = {"sourceImage": IMAGE, "diskSizeGb": "50", "diskType": "pd-standard", "labels": labels}
    return {
        "machineType": machine_type,
        "labels": labels,
        "tags": {"items": [CLUSTER]},
        "disks": [{"boot": True, "autoDelete": True, "type": "PERSISTENT", "initializeParams": disk}],
        "networkInterfaces": [{"subnetwork": SUBNETWORK}],
        "scheduling": {"automaticRestart": True, "onHostMaintenance": "MIGRATE", "provisioningModel": "STANDARD"},
        "serviceAccounts": [{"email": ACCOUNT, "scopes": SCOPES}],
        "metadata": {"items": [{"key": key, "value": value} for key, value in attributes.items()]},
    }


def cloud() -> Cloud:
    """What Terraform has made, but for the controller's instance."""
    made = Cloud()
    for name, content in objects().items():
        data.add_object(made, BUCKET, f"{FOLDER}/{name}", content)
    template = {"kind": "compute#instanceTemplate", "properties": properties("compute", MACHINE_TYPE)}
    made.items[f"compute/compute/v1/{TEMPLATE}"] = {"name": TEMPLATE.rpartition("/")[2], **template}
    return made


def controller() -> dict[str, Any]:
    """The controller's instance, of its template."""
    own = properties("controller", f"zones/{ZONE}/machineTypes/n1-standard-2")
    own["metadata"]["items"] += [
        {"key": "slurm_ha_role", "value": "primary"},
        {"key": "slurm_backup_controller_name", "value": ""},
    ]
    return {"name": CONTROLLER, **own}


@pytest.fixture(scope="module")
def run(rcc_debian_slurm_gcp_6: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The cluster, after its job has run and its nodes are deleted."""
    design = Design(rcc_debian_slurm_gcp_6, controller(), NODES, PROBE, SLOWER, controller_mb=2560)
    with cluster(design, cloud(), tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.mark.skipif(not IS_6, reason="SLURM_GCP names no checkout of the Cluster Toolkit")
class TestVersion6:
    """What the scripts and Slurm did."""

    def test_setup_started_all_services_of_the_controller(self, run: Run) -> None:
        assert "Done setting up Primary controller" in run.console
        assert run.units() == dict.fromkeys(UNITS_6, "active")
        assert run.told()["cluster"] == CLUSTER

    def test_resume_made_the_nodes_of_the_template_and_the_job_ran_on_both(self, run: Run) -> None:
        assert "compute.instances.bulkInsert" in [method for _at, method, _path in run.cloud.calls]
        assert run.told()["job"] == " ".join(["COMPLETED", *NODES])

    def test_suspend_deleted_them(self, run: Run) -> None:
        assert (run.deleted(), run.left()) == (sorted(NODES), [])
        assert int(run.told()["reconciled"]) > 1  # slurmsync.py looked, and left nodes alone that are switched off
        assert run.told()["suspended"] == OFF
