"""Shared code of the three providers: settings in the plugin, errors for the engine, orders on disk.

A provider class without instance attributes in an importable module is stored in the engine's state as a reference of
40 bytes to ``bakery.resources.<module>.<Class>``. The engine loads this name to delete a resource, maybe years later.
Never move or rename a provider class or its module.
"""

import contextlib
import errno
import json
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import pulumi
from pulumi.dynamic import ConfigureRequest, DiffResult, ResourceProvider

from bakery import settings as stack_settings
from bakery.errors import BakeryError, InfrastructureFailed, Interrupted, from_os_error
from bakery.paths import StatePaths
from bakery.resources import plugin
from bakery.settings import Settings

REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
Props = dict[str, Any]
P = ParamSpec("P")
R = TypeVar("R")

_configured: Settings | None = None
_lock = threading.Lock()


class BakeryProvider(ResourceProvider):
    """Base class of the three providers: prepares the plugin and reads the settings once."""

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Read the stack's configuration once. The program has reported what is wrong in it."""
        global _configured  # noqa: PLW0603  one stack per process; providers have no state
        with _lock:
            plugin.prepare()
            if _configured is None:
                _configured = stack_settings.from_pulumi(cast(pulumi.Config, req.config), "", Path.cwd())


def settings(urn: str) -> Settings:
    """Return the stack's settings in the plugin; only a resource's URN contains the name of the stack."""
    if _configured is None:
        raise InfrastructureFailed("the plugin was used before it was configured")
    return replace(_configured, stack=owner_of(urn).partition("/")[2])


def owner_of(urn: str) -> str:
    """Return ``<project>/<stack>`` of the URN ``urn:pulumi:<stack>::<project>::<type>::<name>``.

    The library knows a stack by it.
    """
    stack, project, *_ = urn.removeprefix("urn:pulumi:").split("::")
    return f"{project}/{stack}"


def changed(keys: Iterable[str], olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """Return those of ``keys`` that differ; other keys (URN, manifest, outcome) never cause a change."""
    return [key for key in keys if olds.get(key) != news.get(key)]


def difference(olds: Props, news: Props, replaces: tuple[str, ...] = (), updates: tuple[str, ...] = ()) -> DiffResult:
    """Return whether the engine replaces, updates or keeps the resource; it deletes a replaced one last."""
    replaced = changed(replaces, olds, news)
    return DiffResult(bool(replaced or changed(updates, olds, news)), replaced, None, False)


def reports_errors(method: Callable[P, R]) -> Callable[P, R]:
    """Report errors of the method to the engine as plain messages; unexpected ones are logged with their traceback."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except Interrupted as error:
            plugin.abort_call(stopped(error))
        except BakeryError as error:
            plugin.abort_call(error)
        except Exception as error:
            plugin.abort_call(unexpected(error))

    return call


def stopped(error: Interrupted) -> Interrupted:
    """Return the interruption with a message that says how to continue."""
    what = error.message.rstrip(".")
    rest = "" if "nothing is lost" in what else "; nothing is lost"
    return Interrupted(f"{what}{rest}; run `pulumi up` again to continue", tail=(), log=error.log)


def unexpected(error: Exception) -> InfrastructureFailed:
    """Return the error of the operating system, or an internal error whose traceback is in the log."""
    if isinstance(error, OSError) and error.errno in REFUSED:
        return from_os_error(error)
    log: Path | None = None
    if _configured is not None:
        log = StatePaths(_configured.state).logs / "plugin.log"
        with contextlib.suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8") as file:
                file.writelines(traceback.format_exception(error))
    return InfrastructureFailed(
        f"internal error: {type(error).__name__}: {error}",
        hint="report this defect of the bakery with its log",
        log=log,
    )


def read_order(file: Path) -> Any:
    """Return the JSON of an order that the program wrote. Raises InfrastructureFailed if it can't be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InfrastructureFailed(
            f"cannot read the order {file}: {error}", hint="run `pulumi up`, which writes it"
        ) from error
