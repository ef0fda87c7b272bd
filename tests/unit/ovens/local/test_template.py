from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bakery import redaction
from bakery.errors import BakeFailed
from bakery.host.boot_files import BootFiles
from bakery.ovens.local.machine import BakeMachine
from bakery.ovens.local.template import Rendering, named, render, steps
from bakery.recipe.model import Json
from bakery.settings import Accelerator
from tests.support.bake_orders import order

GOLDEN = Path(__file__).with_name("golden_template.json")
MACHINE = BakeMachine(
    work=Path("/w,1"),
    console=Path("/logs/console"),
    accelerator=Accelerator.TCG,
    cores=2,
    memory_mb=1024,
    ports=(4000, 4020),
    boot=BootFiles(Path("/b/vmlinuz"), Path("/b/initrd.img"), "root=LABEL=x"),
)
ORDER = order("hello")


def rendered(**changes: object) -> Rendering:
    template = {**ORDER.template, **changes}
    return render(replace(ORDER, template=template), MACHINE.builder, Path("/w,1/workspace"))


def test_the_whole_template_is_as_agreed():
    found = render(ORDER, MACHINE.builder, Path("/w,1/workspace"))
    assert found.template == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_the_recipes_provisioners_are_untouched_and_each_is_announced():
    found = rendered()
    assert found.template["provisioners"][1::2] == ORDER.template["provisioners"]
    assert [one["type"] for one in found.template["provisioners"][::2]] == ["shell-local"] * 2
    assert found.provisioners == ("file share", "shell install.sh")


def test_only_declared_variables_are_handed_to_packer():
    assert rendered().variables == {"pkg_path": "packages/hello", "message": "hello"}


def test_user_and_disk_size_are_the_builders_own_even_when_they_are_variables():
    found = rendered()
    assert (found.user, found.disk_gb, found.builder) == ("baker", 3, "googlecompute")
    builders = [{"type": "googlecompute", "name": "gce", "ssh_username": '{{ user "message" }}'}]
    found = rendered(builders=builders)
    assert (found.user, found.disk_gb, found.builder) == ("hello", 0, "gce")


def test_post_processors_are_left_out_with_a_warning():
    found = rendered()
    assert "post-processors" not in found.template
    assert found.warnings == ("post-processors are not run by the local oven",)


def test_the_googlecompute_builder_is_the_one_that_is_baked():
    builders = [{"type": "docker"}, {"type": "googlecompute", "ssh_username": "me"}]
    assert rendered(builders=builders).user == "me"
    assert rendered(builders=[{"type": "docker"}]).builder == "docker"


def test_a_startup_script_runs_as_root_before_everything():
    found = rendered(builders=[{"type": "googlecompute", "startup_script_file": "start.sh"}])
    first = found.template["provisioners"][1]
    assert first["script"] == "start.sh" and "sudo" in first["execute_command"]
    assert found.provisioners[0] == "shell start.sh"


def test_the_templates_folder_is_that_of_the_staged_copy():
    provisioners = [{"type": "file", "source": "{{template_dir}}/a", "destination": "{{ template_dir }}"}]
    found = rendered(provisioners=provisioners).template["provisioners"][1]
    assert found == {"type": "file", "source": "/w,1/workspace/packages/hello/a",
                     "destination": "/w,1/workspace/packages/hello"}  # fmt: skip


def test_without_a_kernel_the_boot_loader_runs():
    found = render(ORDER, replace(MACHINE, boot=None).builder, Path("/w"))
    assert not any(option == "-kernel" for option, _ in found.template["builders"][0]["qemuargs"])


def test_a_path_with_signs_that_mean_something_in_an_address_is_escaped():
    """Packer's downloader would cut the path at ``#`` and turn ``%20`` into a space."""
    found = render(ORDER, replace(MACHINE, work=Path("/it's ü/a=b,c/%20#1 & x?")).builder, Path("/w"))
    address = found.template["builders"][0]["iso_url"]
    assert address == "file:///it%27s%20%C3%BC/a=b,c/%2520%231%20&%20x%3F/overlay.qcow2"


def test_a_command_that_the_recipe_runs_here_keeps_its_own_way_of_being_run():
    own = {"type": "shell-local", "inline": ["true"], "execute_command": ["/bin/bash", "{{ .Script }}"]}
    plain = {"type": "shell-local", "inline": ["true"]}
    found = rendered(provisioners=[own, plain]).template["provisioners"]
    assert found[1] == own
    assert found[3] == {**plain, "execute_command": found[0]["execute_command"]}


def test_a_failed_disk_that_is_looked_at_is_written_out_first():
    found = render(ORDER, MACHINE.builder, Path("/w"), sync_on_error=True)
    assert found.template["error-cleanup-provisioner"] == {"type": "shell", "inline": ["sync"]}


def test_a_bake_that_stops_runs_what_is_before_the_step_and_nothing_after_it():
    steps = [{"type": "shell", "inline": [word]} for word in ("one", "two", "three")]
    whole = rendered(provisioners=steps)
    for number in (1, 2, 3):
        found = whole.before(number)
        ran = [one["inline"] for one in found.template["provisioners"] if one["type"] == "shell"]
        assert ran == [one["inline"] for one in steps[: number - 1]]
        *_, last = found.template["provisioners"]
        assert (last["inline"], found.stop) == ([f"echo bakery-stop {number}", "exit 1"], number)
        assert found.provisioners == whole.provisioners, "the numbers are those of the whole recipe"
    left = whole.before(3).after(1).template["provisioners"]
    assert [one["inline"] for one in left if one["type"] == "shell"] == [["two"]], "it may begin from a layer"


def test_no_builder_is_the_recipes_fault():
    with pytest.raises(BakeFailed, match="has no builders"):
        rendered(builders=[])


def test_packer_hides_a_secret_in_its_logs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(redaction, "_marks", {})
    name, value = next(
        (name, value) for name, value in render(ORDER, MACHINE.builder, Path("/w")).variables.items() if value
    )
    redaction.hide({"spack.cache": value})
    assert name in render(ORDER, MACHINE.builder, Path("/w")).template["sensitive-variables"]


def test_a_startup_script_of_the_metadata_runs_as_root_and_its_end_does_not_matter():
    file = rendered(builders=[{"type": "googlecompute", "metadata_files": {"startup-script": "start.sh", "x": "y"}}])
    first = file.template["provisioners"][1]
    assert (first["script"], first["execute_command"][-7:]) == ("start.sh", "|| true")
    text = rendered(builders=[{"type": "googlecompute", "metadata": {"startup-script": "#!/usr/bin/env bash\na\nb\n"}}])
    second = text.template["provisioners"][1]
    assert (second["inline_shebang"], second["inline"]) == ("/usr/bin/env bash", ["a", "b"])
    assert "sudo" in second["execute_command"]


def test_a_startup_script_keeps_its_line_ends_as_on_compute_engine():
    """Packer would convert the script of a provisioner; nothing converts that of a machine."""
    file = rendered(builders=[{"type": "googlecompute", "startup_script_file": "start.sh"}])
    assert file.template["provisioners"][1]["binary"] is True
    given = "#! /bin/bash\r\necho a\u2028b\r\n\r\nexit\r\n"
    text = rendered(builders=[{"type": "googlecompute", "metadata": {"startup-script": given}}])
    made = text.template["provisioners"][1]
    assert (made["binary"], made["inline_shebang"]) == (True, "/bin/bash\r")
    assert "".join(f"{line}\n" for line in made["inline"]) == given.partition("\n")[2]


@pytest.mark.parametrize(
    ("options", "script", "waits"),
    [
        ({"startup_script_file": "start.sh", "wrap_startup_script": False}, "start.sh", False),
        ({"startup_script_file": "start.sh", "metadata_files": {"startup-script": "x.sh"}}, "x.sh", False),
        ({"startup_script_file": "start.sh", "metadata": {"startup-script": "text"}}, "start.sh", True),
        ({"metadata": {"startup-script": "text"}, "wrap_startup_script": True}, None, True),
    ],
)
def test_packer_waits_for_the_scripts_that_it_wraps(options: dict[str, object], script: str | None, waits: bool):
    made = rendered(builders=[{"type": "googlecompute", **options}]).template["provisioners"][1]
    assert (made.get("script"), made["execute_command"].endswith("|| true")) == (script, not waits)


def test_functions_of_the_templates_folder_are_filled_in_wherever_they_stand():
    provisioners = [{"type": "file", "source": "{{- template_dir -}}/a", "destination": "{{template_dir | lower}}"}]
    found = rendered(provisioners=provisioners).template["provisioners"][1]
    folder = "/w,1/workspace/packages/hello"
    assert (found["source"], found["destination"]) == (f"{{{{- `{folder}` -}}}}/a", f"{{{{`{folder}` | lower}}}}")


SCRIPTS = {"type": "shell", "scripts": ["{{user `pkg_path`}}/one.sh", "two.sh"], "execute_command": "bash {{.Path}}"}


def test_every_script_of_a_provisioner_is_one_of_its_own() -> None:
    one, two = steps({**ORDER.template, "provisioners": [SCRIPTS]})
    assert (one, two) == ({**SCRIPTS, "scripts": [SCRIPTS["scripts"][0]]}, {**SCRIPTS, "scripts": ["two.sh"]})
    assert rendered(provisioners=[SCRIPTS]).provisioners == ("shell one.sh", "shell two.sh")
    assert [named(step, {"pkg_path": "packages/a"}) for step in (one, two)] == ["packages/a/one.sh", "two.sh"]


@pytest.mark.parametrize(
    "step",
    [
        {**SCRIPTS, "pause_before": "5s"},
        {**SCRIPTS, "max_retries": 2},
        {**SCRIPTS, "timeout": "5m"},
        {**SCRIPTS, "scripts": "{{hcl `local.scripts`}}"},
        {**SCRIPTS, "type": "shell-local"},
    ],
)
def test_what_counts_for_all_scripts_together_keeps_them_together(step: Json) -> None:
    assert steps({**ORDER.template, "provisioners": [step]}) == [step]


def test_a_provisioner_waits_at_a_border_until_it_is_crossed() -> None:
    made = render(ORDER, MACHINE.builder, Path("/w/workspace"), borders=True)
    marks = [one["inline"] for one in made.template["provisioners"] if one["type"] == "shell-local"]
    assert marks == [
        ["echo bakery-provisioner 1/2", "until [ -e ../border-1 ]; do sleep 0.05; done"],
        ["echo bakery-provisioner 2/2", "until [ -e ../border-2 ]; do sleep 0.05; done"],
    ]


def test_what_is_in_a_layer_is_left_out_and_the_rest_keeps_its_number() -> None:
    made = render(ORDER, MACHINE.builder, Path("/w/workspace"), borders=True)
    left = made.after(1)
    assert left.template["provisioners"] == made.template["provisioners"][2:]
    assert left.template["provisioners"][0]["inline"][0] == "echo bakery-provisioner 2/2"
    assert left.provisioners == made.provisioners
    assert made.after(2).template["provisioners"] == []


def test_what_the_build_sets_for_packer_is_set_here_too():
    env = ["MODE=${_MODE}", "PATH=/x", "PACKER_LOG=1", "ID=$BUILD_ID"]
    step = {"name": "hashicorp/packer", "args": ["build", "packages/hello/packer.json"], "env": env}
    made = replace(ORDER, build={"steps": [step]}, substitutions={"_MODE": "fast"})
    assert render(made, MACHINE.builder, Path("/w")).environment == {"MODE": "fast"}


def test_metadata_that_only_packer_knows_has_no_startup_script():
    builder = {**ORDER.template["builders"][0], "metadata": '{{hcl "x"}}', "metadata_files": ["x"]}
    assert len(steps({**ORDER.template, "builders": [builder]})) == 2
