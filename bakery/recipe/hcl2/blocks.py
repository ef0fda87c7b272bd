"""The blocks of a source and of a build as JSON: ``dynamic`` expanded, ``only``, ``except`` and ``override`` done.

Sources: hcl2template/types.build.go and types.build.provisioners.go; HCL's dynamic block extension.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from bakery.recipe.hcl2.evaluate import Bound, Evaluator
from bakery.recipe.hcl2.values import Invalid, NotFollowed, Set, Unfollowed, Value, Variable, to_json, to_text
from bakery.recipe.model import Json
from bakery.recipe.parse import Findings, Where, quoted
from bakery.recipe.parse import hcl_nodes as nodes
from bakery.recipe.plugins import PROVISIONERS, SHELL_LISTS, Plugin
from bakery.recipe.templating import NOT_FOLLOWED

IN_BAKE = "is only known in the bake", "write a value, or a variable with one"


class BakedSource(Protocol):
    """The source that is baked."""

    @property
    def title(self) -> str:
        """Type and name."""

    @property
    def name(self) -> str:
        """The name."""

    @property
    def file(self) -> str:
        """The file of the build."""


class BlockReader:
    """Evaluates blocks, and notes file and line of each option in ``lines``; ``titles`` are those of all sources."""

    def __init__(
        self,
        evaluator: Evaluator,
        findings: Findings,
        lines: dict[Where, tuple[str, int]],
        titles: frozenset[str] = frozenset(),
    ) -> None:
        self.evaluator = evaluator
        self.findings = findings
        self.lines = lines
        self.titles = titles

    def in_bake(self, attribute: nodes.Attribute, file: str) -> None:
        """Report an attribute that decides something, and that only the bake knows."""
        if not self.evaluator.wrong:
            message, hint = IN_BAKE
            self.findings.at(file).error(attribute.line, f"{attribute.name} {message}", hint)

    def value(self, attribute: nodes.Attribute, file: str, bound: Bound) -> Value:
        """Return the value of an attribute; None with an error if it has none."""
        try:
            return self.evaluator.evaluate(attribute.expression, bound)
        except Invalid as error:
            self.findings.at(error.file or file).error(*error.args)
        except NotFollowed:
            self.in_bake(attribute, file)
        return None

    def resolved(self, attribute: nodes.Attribute, file: str, bound: Bound) -> Value:
        """Return the value of an attribute that decides something; None with an error if only the bake knows it."""
        try:
            return self.evaluator.resolve(self.value(attribute, file, bound))
        except NotFollowed:
            self.in_bake(attribute, file)
        return None

    def options(
        self, block: nodes.Block, file: str, where: Where, bound: Bound, plugin: Plugin | None = None
    ) -> dict[str, Json]:
        """Return attributes and nested blocks as a JSON template has them; null is the same as nothing.

        If the ``plugin`` is known, an attribute in place of a block is a warning, and a block in place of an attribute.
        """
        self.lines[where] = (file, block.line)
        made: dict[str, Json] = {}
        for name, attribute in block.body.attributes.items():
            self.lines[*where, name] = (file, attribute.line)
            if plugin and name in plugin.blocks and file.endswith(".hcl"):
                hint = f"write {name} {{ ... }}, without ="
                self.findings.at(file).warn(attribute.line, f"{name} is a block: Packer refuses = after it", hint)
            value = self.value(attribute, file, bound)
            if value is not None:
                made[name] = to_json(value)
        for inner in self.expanded(block.body.blocks, file, bound):
            self.lines.setdefault((*where, inner.type), (file, inner.line))
            self._add(made, inner, file, (*where, inner.type), self.inside(inner, bound), plugin=plugin)
        return made

    def _add(
        self, made: dict[str, Json], block: nodes.Block, file: str, where: Where, bound: Bound, *, plugin: Plugin | None
    ) -> None:
        """Add a nested block to the options that are ``made``."""
        if plugin and block.type in plugin.options:
            message, hint = f"{block.type} is not a block: Packer wants = after it", f"write {block.type} = {{ ... }}"
            self.findings.at(file).warn(block.line, message, hint)
        if plugin and block.type in plugin.mappings:
            made[block.type] = self.options(block, file, where, bound)
            return
        entries = made.setdefault(block.type, [])
        if isinstance(entries, list):
            within = plugin.blocks.get(block.type) if plugin else None
            entries.append(self.options(block, file, (*where, len(entries)), bound, within))

    def inside(self, block: nodes.Block, bound: Bound) -> Bound:
        """Return the names that are known in a block: those around it, and its iterator."""
        return {**bound, **(block.bound if isinstance(block, _Copy) else {})}

    def expanded(self, blocks: Sequence[nodes.Block], file: str, bound: Bound) -> Iterator[nodes.Block]:
        """Yield the blocks, each ``dynamic`` one as often as its ``for_each`` says."""
        for block in blocks:
            if block.type != "dynamic":
                yield block
            elif len(block.labels) == 1:
                yield from self.copies(block, file, bound)

    def copies(self, block: nodes.Block, file: str, bound: Bound) -> Iterator[nodes.Block]:
        """Yield the blocks that a ``dynamic`` block stands for."""
        attributes = block.body.attributes
        content = next(block.body.of("content"), None)
        if "for_each" not in attributes or content is None:
            self.findings.at(file).error(block.line, "dynamic needs for_each and content", "add both")
            return
        iterator = block.labels[0]
        if "iterator" in attributes:
            iterator = attributes["iterator"].expression.text
        collection = self.value(attributes["for_each"], file, bound)
        if isinstance(collection, Variable):
            collection = self.resolved(attributes["for_each"], file, bound)
        if not isinstance(collection, (list, dict)):
            if isinstance(collection, Unfollowed):
                self.in_bake(attributes["for_each"], file)
            elif collection is not None:
                line = attributes["for_each"].line
                self.findings.at(file).error(line, "for_each is not a collection", "write a list or a map")
            return
        keys = collection if isinstance(collection, Set) else range(len(collection))
        pairs = sorted(collection.items()) if isinstance(collection, dict) else zip(keys, collection, strict=True)
        for key, value in pairs:
            own = {iterator: {"key": key, "value": value}}
            labels = self.resolved(attributes["labels"], file, {**bound, **own}) if "labels" in attributes else []
            names = tuple(to_text(label, block.line) for label in labels or ())
            yield _Copy(block.labels[0], names, block.line, content.body, own)

    def name_of(self, build: nodes.Block) -> str:
        """Return the name of a build, or ""."""
        attribute = build.body.attributes.get("name")
        value = self.evaluator.evaluate(attribute.expression, {}) if attribute else ""
        return value if isinstance(value, str) else to_text(value, build.line)

    def step(self, block: nodes.Block, source: BakedSource, where: Where, bound: Bound) -> list[Json]:
        """Return a provisioner or post-processor for this source; [] if it is for others."""
        if len(block.labels) != 1:
            hint = f'write {block.type} "shell" {{'
            self.findings.at(source.file).error(block.line, f"{block.type} has {len(block.labels)} labels", hint)
            return []
        plugin = PROVISIONERS.get(block.labels[0])
        options = self.options(block, source.file, where, self.inside(block, bound), plugin)
        file = source.file
        only, leave = (self._chosen(key, options.pop(key, None), block, file) for key in ("only", "except"))
        override = options.pop("override", None)
        if override is not None and not isinstance(override, dict):
            self._refuse("override", override, "write an object: override = { NAME = { ... } }", block, file)
        for key in sorted(SHELL_LISTS & options.keys()):
            if isinstance(options[key], (str, int, float, dict)) and not str(options[key]).startswith("{{"):
                self._refuse(key, options[key], f"write a list: {key} = [...]", block, file)
        options.pop("name", None)
        if (only and source.title not in only) or (leave and source.title in leave):
            return []
        own = override.get(source.name) if isinstance(override, dict) else None
        if own is not None and not isinstance(own, dict):
            self._refuse("override", own, f"write an object for {source.name}: NAME = {{ ... }}", block, file)
        return [{"type": block.labels[0], **options, **(own if isinstance(own, dict) else {})}]

    def _chosen(self, key: str, given: Json, block: nodes.Block, file: str) -> list[str]:
        """Return the sources that ``only`` or ``except`` names. Packer does not check that there are such sources."""
        with suppress(NotFollowed):  # which is reported next
            given = self.evaluator.resolve(given)
        if given is not None and (not isinstance(given, list) or NOT_FOLLOWED in str(given)):
            self._refuse(key, given, f'write a list: {key} = ["googlecompute.NAME"]', block, file)
            return []
        names = [str(name) for name in given] if isinstance(given, list) else []
        for name in names:
            if name not in self.titles:
                hint = f"use one of: {', '.join(sorted(self.titles))}"
                line = block.body.attributes[key].line if key in block.body.attributes else block.line
                self.findings.at(file).warn(
                    line, f"{key} names {quoted(name)}, which is not a source of any build", hint
                )
        return names

    def _refuse(self, key: str, given: Json, hint: str, block: nodes.Block, file: str) -> None:
        known = NOT_FOLLOWED not in str(given)
        line = block.body.attributes[key].line if key in block.body.attributes else block.line
        message = f"{key} is {quoted(given, 40)}" if known else f"{key} is only known in the bake"
        self.findings.at(file).error(line, message, hint)


class _Copy(nodes.Block):
    """A block that ``dynamic`` made; ``bound`` is its iterator."""

    def __init__(self, kind: str, labels: tuple[str, ...], line: int, body: nodes.Body, bound: Bound) -> None:
        super().__init__(kind, labels, line, body)
        object.__setattr__(self, "bound", bound)

    bound: Bound
