"""Which resources get a hook, and that one hook serves all of them; the engine: tests/gcp."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from pulumi.runtime import settings

from bakery.resources import hooks


@pytest.fixture
def transformations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the stack does to each resource; hooks are values that the engine does not know."""
    found: list[Any] = []
    monkeypatch.setattr(settings, "monitor_supports_feature", lambda _feature: True)
    monkeypatch.setattr(pulumi.runtime, "register_stack_transformation", found.append)
    for kind in ("ErrorHook", "ResourceHook"):
        monkeypatch.setattr(pulumi, kind, lambda name, call: SimpleNamespace(name=name, call=call))
    return found


def declared(transformations: list[Any], type_: str) -> pulumi.ResourceOptions:
    """The options of a resource after all transformations."""
    options = pulumi.ResourceOptions(protect=True)
    resource: Any = None
    for change in transformations:
        if made := change(pulumi.ResourceTransformationArgs(resource, type_, "name", {}, options)):
            options = made.opts
    return options


def test_every_resource_of_the_provider_gets_all_hooks_on_errors(transformations: list[Any]) -> None:
    assert hooks.on_error("one", lambda _error: False)
    assert hooks.on_error("two", lambda _error: True)
    bucket, network = (declared(transformations, f"gcp:{kind}:X") for kind in ("storage/bucket", "compute/network"))
    assert bucket.protect
    assert bucket.hooks is not None and network.hooks is not None
    assert [hook.name for hook in bucket.hooks.on_error or ()] == ["one", "two"]
    assert network.hooks.on_error == bucket.hooks.on_error, "the engine refuses a second hook of the same name"
    assert declared(transformations, "pulumi-python:dynamic/bakery:BakedImage").hooks is None


def called(_created: pulumi.ResourceHookArgs) -> None:
    """The hook."""


def test_a_hook_after_the_creation_is_for_some_types(transformations: list[Any]) -> None:
    assert hooks.after_create("made", called, ("gcp:projects/service:Service",))
    service = declared(transformations, "gcp:projects/service:Service")
    assert service.hooks is not None
    (hook,) = service.hooks.after_create or ()
    assert vars(hook) == {"name": "made", "call": called}
    assert declared(transformations, "gcp:storage/bucket:Bucket").hooks is None


def test_an_engine_without_hooks_is_left_as_it_is(transformations: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "monitor_supports_feature", lambda _feature: False)
    assert not hooks.on_error("one", lambda _error: False)
    assert not hooks.after_create("made", lambda _created: None, ("gcp:",))
    assert transformations == []
