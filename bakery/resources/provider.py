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
from functools import partial, wraps
from pathlib import Path
from typing import Any, ClassVar, ParamSpec, TypeVar, cast

import pulumi
from pulumi.dynamic import Config, ConfigureRequest, DiffResult, ReadResult, ResourceProvider

from bakery import settings as stack_settings
from bakery.backends import backend
from bakery.errors import BakeryError, InfrastructureFailed, Interrupted, from_os_error
from bakery.host import network
from bakery.host.propagation import patiently
from bakery.library.base import Library
from bakery.library.wants import Wants
from bakery.paths import StatePaths
from bakery.preview import snapshot
from bakery.preview.snapshot import LibrarySnapshot
from bakery.progress.activity import Activity
from bakery.redaction import redacted, restored
from bakery.resources import plugin, progress
from bakery.settings import PROJECT, Settings
from bakery.settings.files import texts

REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
ROOT = f"{PROJECT}:root"  # of the provider of a program that passes settings: where paths start, from its own folder
Props = dict[str, Any]
P = ParamSpec("P")
R = TypeVar("R")

_configured: Settings | None = None
_texts: dict[str, str] = {}  # of all settings, by path
_lock = threading.Lock()
_changing: set[str] = set()  # URNs of the resources that a diff wanted to change
_made: dict[tuple[str, str], bool] = {}  # see created()


class _Library:
    """What the library said last: read once for all diffs of the plugin, and again after each change of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshot: LibrarySnapshot | None = None

    def look(self, urn: str) -> LibrarySnapshot | None:
        """Return the snapshot, or None if the library cannot be read; one warning, about ``urn``, says so."""
        with self._lock:  # also while it is read, so that no read overtakes a change
            if self._snapshot is None:
                stack = settings(urn)
                library = partial(snapshot.expected, stack, backend(stack).existing_library)
                self._snapshot = snapshot.read(stack, library, ())
                for problem in (*self._snapshot.problems, *self._snapshot.warnings):
                    progress.engine().warn(urn, f"the resources are kept as they are: {problem.message}")
            return None if self._snapshot.problems else self._snapshot

    def forget(self) -> None:
        """Read the library again for the next diff."""
        with self._lock:
            self._snapshot = None


library_view = _Library()


wants = Wants()


class _Config:
    """The bakery's settings in the configuration that the plugin gets: the stack's, or that of its provider."""

    def __init__(self, config: Config) -> None:
        self._config = config
        keys = [f"{PROJECT}:{key}" for key in (*stack_settings.KEYS, *stack_settings.GROUPS)]
        self._own = any(config.get(key) is not None for key in keys)
        self.name = PROJECT if self._own else ""  # what keys begin with; else the project's name, see settings()

    def get(self, key: str) -> Any:
        """Return the value of a setting; None if it is not set."""
        return self._config.get(f"{PROJECT}:{key}" if self._own else key)


class BakeryProvider(ResourceProvider):
    """Base class of the three providers: prepares the plugin, reads the settings once, and compares with the library.

    ``replaces`` and ``updates`` are the inputs whose change replaces and updates the resource; other keys (URN,
    manifest, outcome) never cause a change. Class attributes are not part of the stored reference.
    """

    serialize_as_secret_always = False
    replaces: ClassVar[tuple[str, ...]] = ()
    updates: ClassVar[tuple[str, ...]] = ()

    def stands(self, _held: LibrarySnapshot, _props: Props) -> bool:
        """Return whether the library has what a resource with these inputs stands for."""
        raise NotImplementedError

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """Return whether the engine replaces, updates or keeps the resource; it deletes a replaced one last.

        The engine asks for every resource in each preview and each ``up``, except for those whose replacement the user
        forces. With equal inputs the library decides; if it cannot be read, the resource is kept.
        """
        replaced = changed(self.replaces, _olds, _news)
        changes = bool(replaced or changed(self.updates, _olds, _news))
        if not changes and (held := library_view.look(_news["urn"])) and not self.stands(held, _news):
            changes, replaced = True, [] if self.updates else [*self.replaces[:1]]
        if changes:
            _changing.add(_news.get("urn", ""))
        return DiffResult(changes, replaced, None, False)

    def read(self, id_: str, props: Props) -> ReadResult:
        """Keep the resource unless the library certainly lacks what it stands for."""
        held = library_view.look(props["urn"])
        return ReadResult(id_, props) if held is None or self.stands(held, props) else ReadResult("", {})

    def configure(self, req: ConfigureRequest) -> None:
        """Read the stack's configuration once. The program has reported what is wrong in it."""
        global _configured  # noqa: PLW0603  one stack per process; providers have no state
        with _lock:
            plugin.prepare()
            if _configured is None:
                config = _Config(req.config)
                values = {key: config.get(key) for key in (*stack_settings.KEYS, *stack_settings.GROUPS)}
                _texts.update(texts(values, values))
                root = Path.cwd() / (req.config.get(ROOT) or "")
                _configured = stack_settings.from_pulumi(cast(pulumi.Config, config), "", root)
                network.use(_configured.network)


def settings(urn: str) -> Settings:
    """Return the stack's settings in the plugin; only a resource's URN contains the names of stack and project."""
    if _configured is None:
        raise InfrastructureFailed("the plugin was used before it was configured")
    project, _, stack = owner_of(urn).partition("/")
    return replace(_configured, stack=stack, namespace=_configured.namespace or project)


def library_of(urn: str) -> Library:
    """Return the library of the stack of a resource."""
    return backend(settings(urn)).library()


def created(urn: str, id_: str, adopted: bool) -> None:
    """Remember a resource that was created, and whether that was forced but changed nothing: it ``adopted`` all."""
    _made[urn, id_] = adopted and urn not in _changing


def twin(urn: str, id_: str) -> bool | None:
    """Return whether the replacement of a deleted resource was forced without effect; None if it was not replaced.

    With ``--replace`` and ``state taint`` the engine asks for no diff: it creates a resource as if it were a first one,
    and shows that it replaced one only when it deletes the old one, which has the same ID.
    """
    return _made.get((urn, id_))


def owner_of(urn: str) -> str:
    """Return ``<project>/<stack>`` of the URN ``urn:pulumi:<stack>::<project>::<type>::<name>``.

    The library knows a stack by it.
    """
    stack, project, *_ = urn.removeprefix("urn:pulumi:").split("::")
    return f"{project}/{stack}"


def changed(keys: Iterable[str], olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """Return those of ``keys`` that differ; other keys (URN, manifest, outcome) never cause a change."""
    return [key for key in keys if olds.get(key) != news.get(key)]


def reports_errors(method: Callable[P, R]) -> Callable[P, R]:
    """Report errors of the method to the engine as plain messages; unexpected ones are logged with their traceback.

    Unless it only reads, the method may change the library, so the next diff reads it again.
    """

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
        finally:
            if method.__name__ != "read":
                library_view.forget()

    return call


def when_allowed(urn: str, call: Callable[[], R]) -> R:
    """Return what requests to the library return; make them again while access is refused and a grant is young.

    ``call`` does only what is not done yet. Ovens and Fluid-Runs wait by themselves: they know what to repeat.
    """
    waiting = Activity(partial(progress.engine().status, urn), plugin.cancelled)
    return patiently(StatePaths(settings(urn).state).grants, waiting, call)


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
                file.writelines(redacted(line) for line in traceback.format_exception(error))
    return InfrastructureFailed(
        f"internal error: {type(error).__name__}: {error}",
        hint="report this defect of the bakery with its log",
        log=log,
    )


def read_order(file: Path) -> Any:
    """Return the JSON of an order that the program wrote, with its secrets. Raises InfrastructureFailed."""
    try:
        return json.loads(restored(file.read_text(encoding="utf-8"), _texts))
    except (OSError, ValueError) as error:
        raise InfrastructureFailed(
            f"cannot read the order {file}: {error}", hint="run `pulumi up`, which writes it"
        ) from error
