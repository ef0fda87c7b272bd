"""The Pulumi program: settings -> recipes -> plan -> declare -> export; also within another program."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pulumi

from bakery.errors import BakeryError, InputError, Problem
from bakery.host import network
from bakery.host.revision import revision
from bakery.lock import file as lock_file
from bakery.plan import plan as planning
from bakery.plan.model import Plan
from bakery.progress.deadline import seconds_left
from bakery.recipe.roots import recipes_of
from bakery.resources import continue_on_error, outputs, preview_reasons, program, sdk_noise
from bakery.resources.images import ImageResources
from bakery.resources.program import Declared
from bakery.resources.provider import ROOT
from bakery.resources.taken import plan_of
from bakery.settings import GROUPS, KEYS, PROJECT, Settings, from_mapping, from_pulumi
from bakery.settings.files import namespace_of, texts
from bakery.settings.stacks import plain, with_unread

_calls: WeakKeyDictionary[pulumi.Resource, dict[str, str]] = WeakKeyDictionary()  # of a program, by its stack
PLUGIN = "pulumi-python"  # the package of Pulumi's dynamic resources
Given = Mapping[str, Any]


@dataclass(frozen=True)
class Bakery:
    """What :func:`declare` declared, and its outputs, which are known when all images are promoted.

    ``images`` maps each promoted family to its image, as the output of a stack of the bakery does (docs/consumers.md):
    name, digest, link and so on. ``families`` maps them to the names of the images. ``rcc_tf`` are the variables of an
    rcc-tf configuration. ``resources`` are those of each image of the plan. What the engine failed to promote is
    missing; the program then fails when all else has ended.
    """

    settings: Settings
    plan: Plan
    resources: pulumi.Output[tuple[Declared, ...]]
    images: pulumi.Output[dict[str, dict[str, Any]]]
    rcc_tf: pulumi.Output[dict[str, Any]]
    ended: asyncio.Future[None] = field(repr=False)

    @property
    def families(self) -> pulumi.Output[dict[str, str]]:
        """The names of the images by family."""
        return self.images.apply(lambda images: {family: str(image["image"]) for family, image in images.items()})

    def image(self, family: str) -> pulumi.Output[dict[str, Any]]:
        """Return the entry of a family, or of a channel, in ``images``.

        The output fails with pulumi.RunError, after all else has ended, if the family points at no image.
        """

        async def entry(images: dict[str, dict[str, Any]]) -> dict[str, Any]:
            if family not in images:
                await self.ended  # raises why, if a resource failed
                known = ", ".join(sorted(images)) or "none"
                raise pulumi.RunError(f"the family {family!r} points at no image; those that do: {known}")
            return images[family]

        return self.images.apply(entry)


def run(root: Path) -> None:
    """Declare the resources that the stack's settings and the recipes describe, and export the stack's outputs.

    ``root`` is the folder with ``Pulumi.yaml``, where relative paths of the settings start. Raises pulumi.RunError with
    every problem at once.
    """
    sdk_noise.end_quietly()
    sdk_noise.silence_debug()
    sdk_noise.omit_stack_traces()
    made = declare(root)
    pulumi.export("images", made.images)
    pulumi.export("rcc_tf", made.rcc_tf)


def declare(root: Path | str, settings: Given | None = None, *, after: Sequence[pulumi.Resource] = ()) -> Bakery:
    """Declare the images of the recipes below ``root`` in a Pulumi program, once, and return their outputs.

    ``root`` is where relative paths of the settings start. ``settings`` have the keys of docs/settings.md without a
    prefix; without them they are the stack's, whose keys begin with ``image-bakery:``. All bakes wait for ``after``.
    A program with an asynchronous part calls this inside of the function that it gives to pulumi.run.
    Raises pulumi.RunError with every problem at once, each with the file and line where it is.
    """
    caller = _caller()
    images = _resources(Path(root), settings, caller)
    try:
        _once("bakery.declare is called", "call it once: without `select` the images are those of all packages", caller)
        declaring = program.declare(images, after)
    except BakeryError as error:
        raise pulumi.RunError(str(error)) from None

    async def resources() -> tuple[Declared, ...]:
        try:
            declared = await declaring
            preview_reasons.log_reasons(images.settings, declared)
        except BakeryError as error:
            raise pulumi.RunError(str(error)) from None
        return declared

    async def end() -> None:
        await continue_on_error.all_ended([resource for one in await task for resource in one.resources])
        if why := await pulumi.Output.from_input(values["refused"]).future():
            raise pulumi.RunError("\n".join(("the output rcc_tf is empty, as its images do not fit:", *why)))

    settled, plan = images.settings, images.plan
    task = asyncio.ensure_future(resources())
    made: pulumi.Output[tuple[Declared, ...]] = pulumi.Output.from_input(task)
    values: pulumi.Output[dict[str, Any]] = made.apply(lambda declared: outputs.after(settled, plan, declared))
    ended = asyncio.ensure_future(end())
    _await(ended)
    return Bakery(settled, plan, made, values["images"], values["rcc_tf"], ended)


def _await(ended: asyncio.Future[None]) -> None:
    """Let the program fail if ``ended`` fails, after the module has run and before the stack's outputs are stored.

    In a program that is in pulumi.run already, they are not stored then.
    """
    try:
        pulumi.run(lambda: ended)
    except pulumi.RunError:
        pulumi.Output.all(ended)  # a pending Output keeps the program running


def resources_of(root: Path | str, settings: Given | None = None) -> ImageResources:
    """Return what declares the bake, the test and the promotion of single images; nothing is declared yet.

    The arguments and errors are those of :func:`declare`.
    """
    return _resources(Path(root), settings, _caller())


def _caller() -> tuple[Path, int]:
    """Return the file and the line that call the function which calls this one."""
    frame = sys._getframe(2)
    return Path(frame.f_code.co_filename), frame.f_lineno


def _once(what: str, hint: str, caller: tuple[Path, int]) -> None:
    """Note what a program may do once, which is called in ``caller``. Raises InputError for the second time."""
    stack, (file, line) = pulumi.runtime.get_root_resource(), caller
    calls = _calls.setdefault(stack, {}) if stack else {}
    if what in calls:
        raise InputError([Problem(file.name, line, f"{what} in {calls[what]} already", hint)])
    calls[what] = f"{file.name}:{line}"


def _resources(root: Path, passed: Given | None, caller: tuple[Path, int]) -> ImageResources:
    root = root.resolve()
    own = passed is not None or root != Path.cwd()
    try:
        if own:
            _once("settings are passed", "pass those of all images in one call", caller)
        passed = None if passed is None else plain(passed, caller)
        settings = _settings(root, passed, caller)
        network.use(settings.network)
        seconds_left()  # a wrong deadline is an error before anything begins
        plan = plan_of(settings) or _planned(settings)
        damaged = preview_reasons.damaged(settings)
    except BakeryError as error:
        # Show the whole message with every problem, and no traceback: the input is wrong, not the program.
        raise pulumi.RunError(str(error)) from None
    for problem in (*settings.warnings, *plan.problems, *damaged):
        pulumi.log.warn(str(problem))
    provider = _provider(root, settings, passed) if own else None
    return ImageResources(settings, plan, provider)


def _settings(root: Path, passed: Given | None, caller: tuple[Path, int]) -> Settings:
    given, secret = pulumi.runtime.config.get_config_env(), pulumi.runtime.get_config_secret_keys_env()
    if passed is not None:
        hidden = texts(given, secret).values()
        return from_mapping(passed, pulumi.get_stack(), root, caller, hidden)
    config = pulumi.Config(namespace_of(given, pulumi.get_project()))
    return with_unread(from_pulumi(config, pulumi.get_stack(), root, given, secret), given, pulumi.get_project())


def _provider(root: Path, settings: Settings, passed: Given | None) -> pulumi.ProviderResource:
    """Declare the provider with the settings that the plugin cannot read from the stack's configuration.

    It is in the state, where ``pulumi destroy`` finds it without the program.
    """
    config = pulumi.Config(settings.namespace)
    values = {key: config.get(key) for key in (*KEYS, *GROUPS)} if passed is None else passed
    inputs: dict[str, pulumi.Input[str]] = {ROOT: os.path.relpath(root)}
    for key, value in values.items():
        if value is not None:
            text = json.dumps(value)
            text = str(value) if json.loads(text) == str(value) else text  # as the engine passes settings
            secret = any(path.partition(".")[0] == key for path in settings.secrets)
            inputs[f"{PROJECT}:{key}"] = pulumi.Output.secret(text) if secret else text
    return pulumi.ProviderResource(PLUGIN, PROJECT, inputs)


def _planned(settings: Settings) -> Plan:
    lock, commit = lock_file.read(settings.lock), revision(settings.packages)
    return planning.make(settings, recipes_of(settings), lock, commit, proven=preview_reasons.proven(settings))
