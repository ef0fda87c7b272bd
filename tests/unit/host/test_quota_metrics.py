"""What a machine counts against: held against the metrics that Google publishes, and against a count of its own."""

from __future__ import annotations

from typing import Any

import pytest

from bakery.host import quota_metrics
from bakery.host.quota_metrics import MachineDemand, counted, cpus
from tests.fake_google import discovery, quotas
from tests.fake_google.cloud import Cloud

METRICS = set(discovery.api("compute").schemas["Quota"]["properties"]["metric"]["enum"])
EVERY_SPOT = {metric for metric in METRICS if metric.startswith("PREEMPTIBLE_")}


@pytest.mark.parametrize(
    ("machine", "number"),
    [
        ("n1-standard-8", 8),
        ("e2-medium", 2),
        ("f1-micro", 1),
        ("c3-standard-88-lssd", 88),
        ("c3-highcpu-192-metal", 192),
        ("n2-custom-6-12288", 6),
        ("custom-4-8192-ext", 4),
        ("a2-highgpu-4g", 48),
        ("a2-megagpu-16g", 96),
        ("something", 0),
    ],
)
def test_processors_of_a_machine_type(machine: str, number: int) -> None:
    assert cpus(machine) == number


@pytest.mark.parametrize(
    ("machine", "granted", "takes"),
    [
        (MachineDemand("n1-standard-8", "pd-ssd", 50), (), {"CPUS": 8, "CPUS_ALL_REGIONS": 8, "SSD_TOTAL_GB": 50}),
        (MachineDemand("c2-standard-4"), (), {"C2_CPUS": 4, "CPUS_ALL_REGIONS": 4, "DISKS_TOTAL_GB": 10}),
        (MachineDemand("h4d-standard-192", "hyperdisk-balanced"), (), {"HDB_TOTAL_GB": 10}),
        (
            MachineDemand("n1-standard-4", gpu_type="nvidia-tesla-t4", gpus=2),
            (),
            {"CPUS": 4, "CPUS_ALL_REGIONS": 4, "DISKS_TOTAL_GB": 10, "NVIDIA_T4_GPUS": 2, "GPUS_ALL_REGIONS": 2},
        ),
        (
            MachineDemand("a2-ultragpu-1g"),
            (),
            {"A2_CPUS": 12, "CPUS_ALL_REGIONS": 12, "DISKS_TOTAL_GB": 10, "NVIDIA_A100_80GB_GPUS": 1}
            | {"GPUS_ALL_REGIONS": 1},
        ),
        (MachineDemand("g2-standard-24"), (), {"DISKS_TOTAL_GB": 10, "NVIDIA_L4_GPUS": 2, "GPUS_ALL_REGIONS": 2}),
        (MachineDemand("c2-standard-4", spot=True), EVERY_SPOT, {"PREEMPTIBLE_CPUS": 4, "DISKS_TOTAL_GB": 10}),
        (
            MachineDemand("c2-standard-4", spot=True),
            (),
            {"C2_CPUS": 4, "CPUS_ALL_REGIONS": 4, "DISKS_TOTAL_GB": 10},
        ),
        (
            MachineDemand("n1-standard-4", gpu_type="nvidia-tesla-t4", gpus=1, spot=True),
            EVERY_SPOT,
            {"PREEMPTIBLE_CPUS": 4, "PREEMPTIBLE_NVIDIA_T4_GPUS": 1, "DISKS_TOTAL_GB": 10},
        ),
    ],
)
def test_what_a_machine_takes(machine: MachineDemand, granted: Any, takes: dict[str, int]) -> None:
    assert counted([machine], granted) == {"INSTANCES": 1, **takes}
    assert counted([machine, machine], granted) == {"INSTANCES": 2, **{name: 2 * all_ for name, all_ in takes.items()}}
    assert set(takes) <= METRICS


def test_every_series_of_the_table_has_a_metric_that_google_publishes() -> None:
    assert len(quota_metrics._OWN) > 10
    for series in quota_metrics._OWN:
        assert f"{series.upper()}_CPUS" in METRICS


def test_the_fake_counts_a_test_machine_in_the_same_way() -> None:
    body = {
        "machineType": "zones/z/machineTypes/n1-standard-4",
        "disks": [{"initializeParams": {"diskType": "zones/z/diskTypes/pd-ssd", "diskSizeGb": "50"}}],
        "guestAccelerators": [{"acceleratorCount": 2, "acceleratorType": "zones/z/acceleratorTypes/nvidia-tesla-t4"}],
    }
    machine = MachineDemand("n1-standard-4", "pd-ssd", 50, "nvidia-tesla-t4", 2)
    assert quotas.counted(Cloud(), body) == counted([machine], ())
