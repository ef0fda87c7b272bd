"""Resources without classes of pulumi-gcp have the names of types and properties that its classes have."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from pulumi import _types

from tests.unit.infrastructure.test_security import SECOND, _declared, settings

KINDS = {
    *("compute/network:Network", "compute/subnetwork:Subnetwork", "compute/router:Router"),
    *("compute/routerNat:RouterNat", "compute/firewall:Firewall", "cloudbuild/trigger:Trigger"),
    "iam/workloadIdentityPool:WorkloadIdentityPool",
    "iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider",
}


def unknown(value: Any, kind: type, place: str) -> Iterator[str]:
    """Yield the properties that the class for ``value`` does not have."""
    if isinstance(value, list):
        for each in value:
            yield from unknown(each, kind, place)
    elif isinstance(value, dict) and _types.is_input_type(kind):
        types = _types.input_type_types(kind)
        names = {pulumi: types.get(pulumi) for pulumi in _types.input_type_py_to_pulumi_names(kind).values()}
        for key, each in value.items():
            if key not in names:
                yield f"{place}.{key}"
            elif isinstance(each, dict) or (isinstance(each, list) and each and isinstance(each[0], dict)):
                yield from unknown(each, _one(names[key]), f"{place}.{key}")


def _one(kind: Any) -> type:
    """The class of an input, of a list's items, or of what may be missing."""
    while not isinstance(kind, type):
        kind = next(one for one in kind.__args__ if one is not type(None))
    return kind


@pytest.mark.parametrize("repository", ["o/r", SECOND])
def test_every_property_is_one_of_the_class(repository: str) -> None:
    (declared,) = _declared(settings(repository=repository, ci={"github": "o/r"}))
    seen = set()
    for typ, name, inputs in declared.made:
        kind = typ.removeprefix("gcp:")
        if kind in KINDS:
            seen.add(kind)
            module, _, rest = kind.partition("/")
            arguments = getattr(importlib.import_module(f"pulumi_gcp.{module}"), f"{rest.partition(':')[2]}Args")
            assert list(unknown(inputs, arguments, name)) == []
    assert seen == KINDS


def test_a_wrong_name_is_found() -> None:
    from pulumi_gcp import compute

    wrong = {"network": "n", "allows": [{"protocol": "tcp", "port": ["22"]}], "targetTag": []}
    assert list(unknown(wrong, compute.FirewallArgs, "f")) == ["f.allows.port", "f.targetTag"]
