"""The variables of an rcc-tf configuration as a file that Terraform reads.

The format is described by ``schemas/tfvars.schema.json``, from the ``io.tf`` of FluidNumerics' rcc-tf: every field of a
partition must be given, and images are names or links of Compute Engine.
"""

import json
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from bakery.errors import BakeryError

LOCAL_HINT = "images of the local oven boot with QEMU only; use a stack with oven: cloud-build"


def schema() -> dict[str, Any]:
    """Return the JSON schema of the variables."""
    text = files("bakery.report").joinpath("schemas/tfvars.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def problems(variables: Mapping[str, Any]) -> list[str]:
    """Return what rcc-tf or Compute Engine would reject; empty if nothing."""
    from jsonschema import Draft202012Validator

    errors = sorted(Draft202012Validator(schema()).iter_errors(variables), key=lambda error: list(map(str, error.path)))
    found = []
    for error in errors:
        where = error.json_path.removeprefix("$").removeprefix(".")
        wanted = error.schema.get("description") if error.validator == "pattern" else ""
        text = f"{error.instance!r} is not {wanted}" if wanted else error.message
        found.append(f"{where}: {text}" if where else text)
    names = Counter(str(partition.get("name")) for partition in variables.get("partitions", ()))
    return found + [f"duplicate partition name {name!r}" for name, count in sorted(names.items()) if count > 1]


def render(variables: Mapping[str, Any], *, as_json: bool = True) -> str:
    """Return the text of a ``.tfvars.json`` file, or of a ``.tfvars`` file.

    Raises BakeryError with everything that rcc-tf would reject.
    """
    if wrong := problems(variables):
        local = any("Compute Engine image" in line for line in wrong)
        text = "\n  ".join(("invalid rcc-tf configuration:", *wrong))
        raise BakeryError(text, hint=LOCAL_HINT if local else "")
    if as_json:
        return json.dumps(variables, indent=2) + "\n"
    # HCL takes JSON values as they are, except for its two template markers.
    lines = (f"{name} = {json.dumps(value, indent=2)}" for name, value in variables.items())
    return "\n".join(lines).replace("${", "$${").replace("%{", "%%{") + "\n"
