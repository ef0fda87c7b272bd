"""A workspace as Cloud Build gives it to a step, with the benchmark step that rcc-apps' OpenFOAM recipe has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from bakery.results.app_runs import APP_RUNS
from tests.fake_google import compute
from tests.fake_google.server import FakeServer

IMAGES = "compute/compute/v1/projects/p/global/images"
TABLE = "bigquery/bigquery/v2/projects/p/datasets/rcc_run/tables/app_runs"
CI = """
tests:
- command_group: dam break
  execution_command: openfoam/test/setup.sh
  output_directory: dam/core
  partition: c2-standard-60
  batch_options: "-N1 --time=30:00"
- command_group: dam break
  execution_command: openfoam/test/solve.sh
  output_directory: dam/core-solve
  partition: compact
  batch_options: "--ntasks=120 --cpus-per-task=2 --mem=50G --time=3:00:00 --exclusive"
"""
TFVARS = """
cluster_name = "<name>"
project = "<project>"
zone = "<zone>"

suspend_time = 2
controller_image = "<image>"
disable_controller_public_ips = false
controller_machine_type = "n1-standard-16"
controller_disk_size_gb = 1024
controller_disk_type = "pd-ssd"
login_image = "<image>"
login_node_count = 0

partitions = [
  { name = "c2-standard-60", machine_type = "c2-standard-60", image = "<image>", image_hyperthreads = true
    static_node_count = 0, max_node_count = 25, zone = "<zone>", compute_disk_size_gb = 100, gpu_count = 0
    gpu_type = null, gvnic = false, enable_placement = false, vpc_subnet = null, network_storage = []
  },
  { name = "compact", machine_type = "c2-standard-60", image = "<image>", max_node_count = 25, zone = "<zone>"
    gvnic = true, enable_placement = true, preemptible_bursting = true
  },
]
create_filestore = false
create_lustre = false
"""
STEP = (
    *("--build-id=0123456789abcdef", "--git-sha=c0ffee", "--project=p", "--zone=us-central1-f"),
    *("--artifact-type=gce-vm-image", '--compiler="gcc@10.3.0"', "--target-arch=x86_64"),
    *("--cluster-type=rcc-ephemeral", "--ci-file=openfoam/fluidci.yaml"),
    *("--gce-image=projects/p/global/images/openfoam-gcp-foss-latest",),
    *("--rcc-tfvars=openfoam/test/rcc.auto.tfvars", "--save-results"),
)


@dataclass(frozen=True)
class Workspace:
    """The folder, and the fake project that its stack names."""

    top: Path
    server: FakeServer

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file


def make(top: Path, server: FakeServer) -> Workspace:
    """The workspace, and what the project has: the image, the bakery's bucket, the table of rows."""
    made = Workspace(top, server)
    made.write("openfoam/fluidci.yaml", CI)
    made.write("openfoam/test/rcc.auto.tfvars", TFVARS)
    for name in ("setup", "solve"):
        made.write(f"openfoam/test/{name}.sh", "#!/bin/bash\ntrue\n", 0o755)
    made.write(".git/config", "secret")
    google = {"project": "p", "region": "us-central1", "endpoint": server.url}
    config = {"image-bakery:oven": "cloud-build", "image-bakery:google": google}
    made.write("Pulumi.gcp.yaml", yaml.safe_dump({"config": config}))
    items = server.cloud.items
    items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
    fields = [
        {"name": one.name, "type": one.type, "mode": "REQUIRED" if one.required else "NULLABLE"} for one in APP_RUNS
    ]
    items[TABLE] = {"schema": {"fields": fields}}
    image = {"name": "openfoam-gcp-foss-latest", "family": "openfoam-gcp-foss", "guestOsFeatures": [{"type": "GVNIC"}]}
    compute.add_image(server.cloud, IMAGES, image)
    return made
