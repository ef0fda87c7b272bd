"""The cluster of a tfvars file, as rcc-run fills it in."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakery.errors import Severity
from bakery.rcc_run import cluster
from bakery.rcc_run.arguments import parse
from bakery.recipe.parse.findings import Findings
from tests.support.every import every
from tests.support.step import STEP, TFVARS


def read(text: str, tmp_path: Path, *words: str) -> tuple[cluster.Tested, list[str], list[str]]:
    """The cluster, its errors and its warnings."""
    file = tmp_path / "rcc.auto.tfvars"
    file.write_text(text)
    given, _ = parse([*STEP, *words], {})
    findings = Findings("rcc.auto.tfvars")
    found = cluster.read(file, given, findings)
    errors = [str(one) for one in findings.problems if one.severity is Severity.ERROR]
    return found, errors, [str(one) for one in findings.problems if one.severity is Severity.WARNING]


def test_placeholders_are_filled_and_partitions_read(tmp_path: Path) -> None:
    found, errors, warnings = read(TFVARS, tmp_path)
    assert errors == []
    assert len(warnings) == 1 and "enable_placement = True is ignored" in warnings[0]
    first, second = found.shape.partitions
    assert (first.name, first.nodes, first.machine_type, first.disk_size_gb) == (
        "c2-standard-60",
        25,
        "c2-standard-60",
        100,
    )
    assert second.gvnic and second.preemptible and not second.compact_placement
    assert (found.shape.controller_disk_size_gb, found.shape.login_nodes) == (1024, 0)
    assert found.row == {"filestore": False, "lustre": False}


def test_an_older_template_takes_the_options_numbers(tmp_path: Path) -> None:
    text = """
partitions = [{
  name = "gromacs", machine_type = "<machine_type>", max_node_count = <node_count>
  gpu_count = <gpu_count>, gpu_type = "<gpu_type>"
}]
"""
    words = ("--machine-type=n1-standard-8", "--node-count=4", "--gpu-count=2", "--gpu-type=nvidia-tesla-v100")
    found, errors, _ = read(text, tmp_path, *words)
    (part,) = found.shape.partitions
    assert errors == []
    assert (part.machine_type, part.nodes) == ("n1-standard-8", 4)
    assert (part.gpu_type, part.gpu_count) == ("nvidia-tesla-v100", 2)


def test_the_default_is_rcc_runs() -> None:
    (part,) = cluster.DEFAULT.partitions
    assert (part.name, part.machine_type, part.nodes) == ("c2-standard-8", "c2-standard-8", 5)
    assert cluster.DEFAULT.login_nodes == 0


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('project = "<project>"', 'project = "other"', "project is 'other' while --project is 'p'"),
        ('zone = "<zone>"\n\n', 'zone = "us-west1-b"\n\n', "zone is 'us-west1-b' while --zone is 'us-central1-f'"),
        ('login_image = "<image>"', 'login_image = "x"', "login_image is 'x' while --gce-image is"),
        ('image = "<image>", max', 'image = "y", max', "image is 'y' while --gce-image is"),
        ("create_lustre = false", "create_lustre = true", "create_lustre is not made for a test cluster"),
        ("network_storage = []", 'network_storage = [{server_ip = "x"}]', "network_storage is not made"),
        ("partitions = [", "partitions = [ 7,", "partitions holds 7"),
        ('name = "compact"', 'name = "c2-standard-60"', "duplicate partition c2-standard-60"),
        ("suspend_time = 2", "suspend_time = ", "invalid tfvars"),
    ],
)
def test_what_cannot_be_is_an_error_with_its_line(before: str, after: str, message: str, tmp_path: Path) -> None:
    assert before in TFVARS
    _, errors, _ = read(TFVARS.replace(before, after), tmp_path)
    assert [line for line in errors if message in line], errors
    assert every(line.startswith("rcc.auto.tfvars:") for line in errors)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("suspend_time", "suspend_tyme", "suspend_tyme is not known"),
        ("gvnic = true", "gvnik = true", "gvnik is not known"),
        ("image_hyperthreads = true", "image_hyperthreads = false", "image_hyperthreads = False is ignored"),
        ("vpc_subnet = null", 'vpc_subnet = "other"', "vpc_subnet = 'other' is ignored"),
        ('cluster_name = "<name>"', 'cluster_name = "<nome>"', "nothing fills <nome>"),
    ],
)
def test_what_is_passed_over_is_a_warning(before: str, after: str, message: str, tmp_path: Path) -> None:
    _, errors, warnings = read(TFVARS.replace(before, after), tmp_path)
    assert errors == []
    assert [line for line in warnings if message in line], warnings


def test_an_option_whose_placeholder_is_missing_has_no_effect(tmp_path: Path) -> None:
    _, _, warnings = read(TFVARS, tmp_path, "--machine-type=n1-standard-8")
    assert any("--machine-type has no effect; write <machine_type> where it counts" in line for line in warnings)
