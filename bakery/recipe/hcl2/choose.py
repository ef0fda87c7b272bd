"""Which source of an HCL2 template is baked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bakery.errors import Severity
from bakery.recipe.hcl2.evaluate import Evaluator
from bakery.recipe.hcl2.module import Module
from bakery.recipe.hcl2.values import Invalid, NotFollowed
from bakery.recipe.parse import Findings
from bakery.recipe.parse import hcl_nodes as nodes

BUILDERS = ("googlecompute", "qemu")


@dataclass(frozen=True)
class Chosen:
    """The source that is baked, and the build that names it."""

    type: str
    name: str
    file: str
    build: nodes.Block
    own: nodes.Block | None  # the source block in the build, which adds to the source

    @property
    def title(self) -> str:
        """The source's name in ``only`` and ``except``."""
        return f"{self.type}.{self.name}"


def choose(module: Module, evaluator: Evaluator) -> Chosen | None:
    """Return the first googlecompute source of a build, else the first qemu one; without any, None with an error."""
    before = len(module.findings.problems)
    found = [one for file, build in module.builds for one in _uses(module, file, build, evaluator)]
    wanted = [one for one in found if _matches(one, module.only or ("*",)) and not _matches(one, module.left_out)]
    for kind in BUILDERS:
        for one in wanted:
            if one.type == kind:
                return one
    if any(problem.severity is Severity.ERROR for problem in module.findings.problems[before:]):
        return None  # the error says what is missing
    has = f"; it has {', '.join(dict.fromkeys(one.title for one in found))}" if found else ""
    hint = 'add: source "googlecompute" "NAME" {...}, and name it in the sources of a build'
    if module.builds:
        file, build = module.builds[0]
        module.findings.at(file).error(build.line, f"has no googlecompute or qemu source{has}", hint)
    else:
        module.findings.error(1, "has no build block", hint)
    return None


def _matches(one: Chosen, patterns: tuple[str, ...]) -> bool:
    """Whether ``-only`` or ``-except`` names a source: as TYPE.NAME, or with the name of its build before it."""
    return any(fnmatchcase(one.title, pattern) or pattern.endswith(f".{one.title}") for pattern in patterns)


def _uses(module: Module, file: str, build: nodes.Block, evaluator: Evaluator) -> Iterator[Chosen]:
    """Yield the sources of a build in its order."""
    findings = module.findings.at(file)
    listed = build.body.attributes.get("sources")
    names: list[tuple[int, str, nodes.Block | None]] = []
    if listed is not None:
        names += [(listed.line, name, None) for name in _listed(listed, findings, evaluator)]
    names += [(block.line, block.labels[0], block) for block in build.body.of("source")]
    if listed is None and not names:
        findings.error(build.line, "build has no source", 'add: sources = ["source.googlecompute.NAME"]')
    for line, title, block in names:
        kind, _, name = title.removeprefix("source.").removeprefix("sources.").partition(".")
        if (kind, name) in module.sources:
            yield Chosen(kind, name, file, build, block)
        else:
            hint = f'add: source "{kind or "googlecompute"}" "{name or "NAME"}" {{...}}'
            findings.error(line, f"there is no source {title}", hint)


def _listed(attribute: nodes.Attribute, findings: Findings, evaluator: Evaluator) -> list[str]:
    try:
        value = evaluator.resolved(attribute.expression, {})
    except Invalid as error:
        findings.at(error.file or findings.file).error(*error.args)
        return []
    except NotFollowed:
        value = None
    if not isinstance(value, list):
        findings.error(attribute.line, "sources is not a list", 'write ["source.googlecompute.NAME"]')
        return []
    return [str(name) for name in value]


def builder_name(chosen: Chosen, evaluator: Evaluator) -> str:
    """Return the name of the builder: that of the source, or the one that the build gives it."""
    attribute = chosen.own.body.attributes.get("name") if chosen.own else None
    value = evaluator.evaluate(attribute.expression, {}) if attribute else None
    return value if isinstance(value, str) else chosen.name
