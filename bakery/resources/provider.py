"""What the three providers share: settings in the plugin, errors to the engine, orders on disk.

Provider classes stay in their modules, without state: the engine's state then holds a reference of 40 bytes to
``bakery.resources.<module>.<Class>``, and loads that name when it deletes something years later. The names are public
and frozen.
"""

from __future__ import annotations

import contextlib
import errno
import json
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import pulumi
from pulumi.dynamic import ConfigureRequest, DiffResult, ResourceProvider

from bakery import settings as stack_settings
from bakery.errors import BakeryError, InfrastructureFailed, Interrupted, from_os_error
from bakery.paths import StatePaths
from bakery.resources import plugin
from bakery.settings import Settings

REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
Props = dict[str, Any]
P = ParamSpec("P")
R = TypeVar("R")
Self = TypeVar("Self")

_configured: Settings | None = None
_lock = threading.Lock()


class BakeryProvider(ResourceProvider):
    """Base of the three: prepares the plugin and reads the settings once."""

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Take the stack's configuration; raises nothing, a wrong one is the program's to report."""
        global _configured  # noqa: PLW0603  one stack a process; the providers themselves hold no state
        plugin.prepare()
        with _lock:
            if _configured is None:
                _configured = stack_settings.from_pulumi(cast(pulumi.Config, req.config), "", Path.cwd())


def settings(urn: str) -> Settings:
    """The stack's settings in the plugin; the name of the stack is only known from a resource's URN."""
    if _configured is None:
        raise InfrastructureFailed("the plugin was asked to work before it was configured")
    return replace(_configured, stack=stack_of(urn))


def stack_of(urn: str) -> str:
    """The stack in ``urn:pulumi:<stack>::<project>::<type>::<name>``; "" when there is none."""
    return urn.removeprefix("urn:pulumi:").split("::")[0] if urn.startswith("urn:pulumi:") else ""


def changed(keys: Iterable[str], olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """Those of ``keys`` that differ; all others (URN, manifest for people, what create found) never cause a change."""
    return [key for key in keys if olds.get(key) != news.get(key)]


def difference(olds: Props, news: Props, replaces: tuple[str, ...] = (), updates: tuple[str, ...] = ()) -> DiffResult:
    """What the engine does: replace, update, or nothing. The old one goes last, after its successor is there."""
    found = changed(replaces, olds, news)
    return DiffResult(bool(found or changed(updates, olds, news)), found, None, False)


def reports_errors(
    method: Callable[Concatenate[Self, P], R],
) -> Callable[Concatenate[Self, P], R]:
    """Let errors reach the engine as a message a person can act on; an unforeseen one is logged with its traceback."""

    @wraps(method)
    def call(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except Interrupted as error:
            plugin.abort_call(stopped(error))
        except BakeryError as error:
            plugin.abort_call(error)
        except Exception as error:
            plugin.abort_call(unforeseen(error))

    return call


def stopped(error: Interrupted) -> Interrupted:
    """The interruption in the words that end a Ctrl-C."""
    what = error.message.rstrip(".")
    rest = "" if "nothing is lost" in what else "; nothing is lost"
    return Interrupted(f"{what}{rest}: the next `pulumi up` goes on from here", tail=(), log=error.log)


def unforeseen(error: Exception) -> InfrastructureFailed:
    """What the system refused, or a defect of the bakery itself: the message, and the traceback in a file."""
    if isinstance(error, OSError) and error.errno in REFUSALS:
        return from_os_error(error)
    text = "".join(traceback.format_exception(error))
    log: Path | None = None
    if _configured is not None:
        log = StatePaths(_configured.state).logs / "plugin.log"
        with contextlib.suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8") as file:
                file.write(text)
    return InfrastructureFailed(f"defect in the bakery: {type(error).__name__}: {error}", log=log)


def read_order(file: Path) -> Any:
    """The JSON of an order that the program wrote; raises InfrastructureFailed when it is not there."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InfrastructureFailed(
            f"the order {file} can't be read: {error}", hint="run `pulumi up`: the program writes it"
        ) from error
