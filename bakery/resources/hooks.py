"""Hooks of the engine on the resources of pulumi-gcp that are declared from now on."""

from collections.abc import Awaitable, Callable
from functools import cache

import pulumi
from pulumi.runtime import settings
from pulumi.runtime.proto import resource_pb2

PROVIDER = "gcp:"
ErrorFunction = Callable[[pulumi.ErrorHookArgs], bool | Awaitable[bool]]


def on_error(name: str, failed: ErrorFunction) -> bool:
    """Let ``failed`` decide about a failed operation on a resource: whether to try it again.

    Return whether SDK and engine support it.
    """
    return _watch(
        resource_pb2.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
        (PROVIDER,),
        lambda: pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook(name, failed)]),
    )


def after_create(name: str, created: Callable[[pulumi.ResourceHookArgs], None], types: tuple[str, ...]) -> bool:
    """Call ``created`` for each resource of these types after it was created.

    Return whether SDK and engine support it.
    """
    return _watch(
        resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
        types,
        lambda: pulumi.ResourceHookBinding(after_create=[pulumi.ResourceHook(name, created)]),
    )


def _watch(feature: int, types: tuple[str, ...], binding: Callable[[], pulumi.ResourceHookBinding]) -> bool:
    """Bind a hook to the resources whose types start with one of ``types``; it is registered with the first of them."""
    if not settings.monitor_supports_feature(feature):
        return False

    @cache
    def watched() -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(hooks=binding())

    def watch(declared: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if not declared.type_.startswith(types):
            return None
        options = pulumi.ResourceOptions.merge(declared.opts, watched())
        return pulumi.ResourceTransformationResult(declared.props, options)

    pulumi.runtime.register_stack_transformation(watch)
    return True
