"""Which sources of an HCL2 template are baked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bakery.errors import Severity
from bakery.recipe.hcl2.blocks import BlockReader
from bakery.recipe.hcl2.evaluate import Bound, Evaluator
from bakery.recipe.hcl2.module import Module
from bakery.recipe.hcl2.values import Invalid, NotFollowed, to_text
from bakery.recipe.packer_call import leaves
from bakery.recipe.parse import Findings
from bakery.recipe.parse import hcl_nodes as nodes
from bakery.recipe.templating import BAKED, GOOGLE_BUILDER

_DYNAMIC = ("dynamic", "source")


@dataclass(frozen=True)
class Chosen:
    """A use of a source in a build. ``name`` is the one that the build gives it, else that of the source."""

    type: str
    source: str
    name: str
    file: str
    build: nodes.Block
    build_name: str
    own: nodes.Block | None  # the source block in the build, which adds to the source

    @property
    def title(self) -> str:
        """The name in ``only`` and ``except`` of a provisioner."""
        return f"{self.type}.{self.name}"

    def baked(self, only: Sequence[str], exclude: Sequence[str]) -> bool:
        """Whether patterns of ``-only`` and ``-except`` leave it, which begin with the name of the build."""
        return leaves(f"{self.build_name}.{self.title}" if self.build_name else self.title, only, exclude)


def choose(module: Module, evaluator: Evaluator) -> list[Chosen]:
    """Return the googlecompute sources of all builds, else the first qemu one; without any, [] with an error."""
    before = len(module.findings.problems)
    found: list[Chosen] = []
    for file, build in module.builds:
        try:
            found += _uses(module, file, build, evaluator)
        except Invalid as error:
            module.findings.at(error.file or file).error(*error.args)
    module.titles = frozenset(one.title for one in found)
    choices = module.choices or (((), ()),)
    wanted = [one for one in found if any(one.baked(*choice) for choice in choices)]
    google, qemu = ([one for one in wanted if one.type == kind] for kind in BAKED)
    if chosen := google or qemu[:1]:
        return chosen
    if evaluator.wrong or any(one.severity is Severity.ERROR for one in module.findings.problems[before:]):
        return []  # the error says what is missing
    has = f"; it has {', '.join(dict.fromkeys(one.title for one in found))}" if found else ""
    hint = 'add: source "googlecompute" "NAME" {...}, and name it in the sources of a build'
    if module.builds:
        file, build = module.builds[0]
        module.findings.at(file).error(build.line, f"has no googlecompute or qemu source{has}", hint)
    else:
        module.findings.error(1, "has no build block", hint)
    return []


def _uses(module: Module, file: str, build: nodes.Block, evaluator: Evaluator) -> Iterator[Chosen]:
    """Yield the sources of a build in its order."""
    findings = module.findings.at(file)
    reader = BlockReader(evaluator, module.findings, {})
    listed = build.body.attributes.get("sources")
    names: list[tuple[int, str, nodes.Block | None]] = []
    if listed is not None:
        names += [(listed.line, name, None) for name in _listed(listed, findings, evaluator)]
    blocks = [one for one in build.body.blocks if one.type == "source" or (one.type, *one.labels) == _DYNAMIC]
    names += [(one.line, "".join(one.labels[:1]), one) for one in reader.expanded(blocks, file, {})]
    if listed is None and not blocks:
        findings.error(build.line, "build has no source", 'add: sources = ["source.googlecompute.NAME"]')
    for line, title, block in names:
        kind, _, name = title.removeprefix("source.").removeprefix("sources.").partition(".")
        if (kind, name) in module.sources:
            local = _text(block, reader, file, reader.inside(block, {})) if block else ""
            yield Chosen(kind, name, local or name, file, build, _text(build, reader, file, {}), block)
        else:
            hint = f'add: source "{kind or GOOGLE_BUILDER}" "{name or "NAME"}" {{...}}'
            findings.error(line, f"there is no source {title}", hint)


def _text(block: nodes.Block, reader: BlockReader, file: str, bound: Bound) -> str:
    """Return the attribute ``name`` of a block; "" without one, or with an error if only the bake knows it."""
    attribute = block.body.attributes.get("name")
    if attribute is None:
        return ""
    try:
        value = reader.evaluator.resolved(attribute.expression, bound)
    except NotFollowed:
        reader.in_bake(attribute, file)
        return ""
    return "" if value is None else to_text(value, block.line)


def _listed(attribute: nodes.Attribute, findings: Findings, evaluator: Evaluator) -> list[str]:
    try:
        value = evaluator.resolved(attribute.expression, {})
    except Invalid as error:
        findings.at(error.file or findings.file).error(*error.args)
        return []
    except NotFollowed:
        value = [] if evaluator.wrong else None
    if not isinstance(value, list):
        findings.error(attribute.line, "sources is not a list", 'write ["source.googlecompute.NAME"]')
        return []
    return [str(name) for name in value]
