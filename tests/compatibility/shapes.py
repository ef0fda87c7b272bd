"""What of a stack's state is public: URNs, inputs, names of outputs, and the references to the provider classes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

PROVIDER = "__provider"
LATER = {"proofs", "token", "labels"}  # what promotions and images have since: states without it are as good
# What the output ``images`` has since for each family: programs that read the rest are not concerned.
LATER_OUTPUTS = {
    *("name", "self_link", "state", "tested_at", "figures", "revoked", "revoke_at", "instance_image", "channel"),
    *("versions", "tested_on"),
}
DYNAMIC = "pulumi-python:dynamic/"
TEXT = 0x8C  # pickle's SHORT_BINUNICODE: one byte of length, then the text


def shape(state: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """URN to what is public of that resource, and the names of the stack's outputs; ``folder`` is the checkout."""
    resources = [one for one in state["deployment"]["resources"] if one["type"].startswith(DYNAMIC)]
    (stack,) = [one for one in state["deployment"]["resources"] if one["type"] == "pulumi:pulumi:Stack"]
    outputs = {**stack["outputs"], "images": {}}
    for family, image in stack["outputs"].get("images", {}).items():
        outputs["images"][family] = {key: value for key, value in image.items() if key not in LATER_OUTPUTS}
    return {
        "stack": stack["urn"],
        "resources": {one["urn"]: _resource(one) for one in resources},
        "outputs": {name: names(value) for name, value in sorted(outputs.items())},
        "values": _moved(outputs, folder),
    }


def _resource(one: Mapping[str, Any]) -> dict[str, Any]:
    inputs = {name: value for name, value in one["inputs"].items() if name not in {PROVIDER, *LATER}}
    return {
        "type": one["type"],
        "id": one["id"],
        "parent": one["parent"],
        "dependencies": sorted(one.get("dependencies", [])),
        "provider": reference(one["outputs"][PROVIDER]),
        "provider_bytes": one["outputs"][PROVIDER],
        "inputs": inputs,
        "outputs": sorted(set(one["outputs"]) - LATER),
    }


def reference(pickled: str) -> str:
    """Module and class of a pickled provider, read without unpickling."""
    content = base64.b64decode(pickled)
    texts, at = [], 0
    while (at := content.find(TEXT, at)) != -1:
        size = content[at + 1]
        texts.append(content[at + 2 : at + 2 + size].decode())
        at += 2 + size
    return ":".join(texts)


def names(value: Any) -> Any:
    """The keys of nested mappings with the types of what they hold; of a list, those of its entries."""
    if isinstance(value, Mapping):
        return {key: names(entry) for key, entry in sorted(value.items())}
    if isinstance(value, list):
        return [names(entry) for entry in value]
    return type(value).__name__


def _moved(value: Any, folder: str) -> Any:
    """The value with the checkout's folder as a word."""
    if isinstance(value, Mapping):
        return {key: _moved(entry, folder) for key, entry in sorted(value.items())}
    if isinstance(value, list):
        return [_moved(entry, folder) for entry in value]
    return value.replace(folder, "<checkout>") if isinstance(value, str) else value
