"""An HCL2 template of a package: read once, and evaluated for the variables of each variant.

What parses and evaluates is imported only for a package that has one.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bakery.recipe.check.step_folder import from_template
from bakery.recipe.model import BuildCalls, Variant
from bakery.recipe.parse import Document, Findings, quoted
from bakery.recipe.substitutions import substitute
from bakery.recipe.templating import HCL2

if TYPE_CHECKING:
    from bakery.recipe.hcl2.module import Module
    from bakery.recipe.hcl2.template import TemplateMaker

FROM_ENVIRONMENT = "PKR_VAR_"  # Packer sets variables of HCL2 from such names, too


def find_hcl2(
    contents: Mapping[str, bytes], paths: Collection[str], common: Collection[str], findings: Findings
) -> Hcl2Template | None:
    """Return the HCL2 template of a package, or None if it has none."""
    names = sorted(name for name in paths if name.endswith(HCL2) and "/" not in name)
    if not names:
        return None
    from bakery.recipe.hcl2.module import parse_module

    large = [name for name in names if name not in contents]
    for name in large:
        findings.at(name).error(1, "is too large", "keep it below 256 KiB")
    own = {name: content for name, content in contents.items() if "/" not in name}
    return Hcl2Template(contents, paths, common, None if large else parse_module(own, findings.at(names[0])))


class Hcl2Template:
    """The template of a package, whose ``paths`` and ``contents`` these are; ``common`` are the paths of common.

    ``module`` is None if a file can't be parsed. ``staged`` are the folders of the workspace where the package and
    common are.
    """

    def __init__(
        self, contents: Mapping[str, bytes], paths: Collection[str], common: Collection[str], module: Module | None
    ) -> None:
        self.contents = contents
        self.paths = paths
        self.common = common
        self.module = module
        self.staged = ("", "")
        self.moved: Callable[[Document], Document] = lambda document: document
        self.taken: set[str] = set()  # the files of the package that functions have read
        self.others: list[tuple[Document, Mapping[str, str]]] = []  # those of the sources after the first

    def declarations(self) -> Document | None:
        """Return the variables as a template without anything else; None if a file can't be parsed."""
        if self.module is None:
            return None
        template = self._template(self.module)
        return template.document_of({"variables": template.variables()})

    def take_call(self, calls: BuildCalls, values: Mapping[str, str], exists: Callable[[str], bool]) -> None:
        """Take what the command lines say besides ``-var``: ``-var-file``, ``-only`` and ``-except``, and the folder.

        ``exists`` takes a path of the workspace.
        """
        from bakery.recipe.hcl2.module import take_values

        if self.module is None:
            return
        self.moved = partial(from_template, calls=calls, values=values, exists=exists)
        self.module.only = tuple(one for call in calls.calls for one in call.only)
        self.module.left_out = tuple(one for call in calls.calls for one in call.exclude)
        for name in sorted({*calls.environment, *calls.secrets}):
            if name.startswith(FROM_ENVIRONMENT):
                hint = f"pass -var {name.removeprefix(FROM_ENVIRONMENT)}=..., which the plan reads"
                message = f"{name} sets a variable in the environment"
                self.module.findings.at("cloudbuild.yaml").error(1, message, hint)
        for path in calls.files:
            clean = posixpath.normpath(substitute(path, values))
            name = clean.removeprefix(f"{self.staged[0]}/")
            if name in self.contents:
                take_values(self.module, name, self.contents[name])
            elif "$" not in clean:
                hint = "put it into the package, or remove -var-file"
                self.module.findings.at("cloudbuild.yaml").error(1, f"{quoted(clean)} does not exist", hint)

    def document(self, values: Mapping[str, str]) -> Document:
        """Return the template for these values of its variables.

        It is that of the first source. Those of the others are in it, below ``others`` of ``hcl2``.
        """
        assert self.module is not None
        template = self._template(self.module)
        try:
            document = self.moved(template.document(values))
            numbers = range(1, template.count)
            others = [self.moved(self._template(self.module).document(values, number)) for number in numbers]
        except RecursionError:
            self.module.findings.error(1, "values refer to each other too often", "write some of them as values")
            return Document({}, self.module.findings)
        for one in (document, *others) if self.taken else ():
            one.value["hcl2"]["read"] = sorted(self.taken)
        if others:
            document.value["hcl2"]["others"] = [one.value for one in others]
        self.others += [(one, values) for one in others]
        return document

    def _template(self, module: Module) -> TemplateMaker:
        from bakery.recipe.hcl2.template import TemplateMaker

        return TemplateMaker(module, self.read)

    def variants(
        self, variants: Iterable[Variant], values: Iterable[Mapping[str, str]], template: Document
    ) -> tuple[Variant, ...]:
        """Return the variants, each with its own template if the values of its variables shape it.

        Afterwards ``others`` are theirs.
        """
        self.others.clear()
        made = []
        for variant, given in zip(variants, values, strict=True):
            own = self.document(given).value
            made.append(variant if own == template.value else replace(variant, template=own))
        return tuple(made)

    def read(self, path: str) -> bytes | None:
        """Return a file of the workspace, or None if there is none. Raises NotFollowed for one of common."""
        from bakery.recipe.hcl2.values import ROOT, NotFollowed

        package, common = self.staged
        clean = posixpath.normpath(path.replace(ROOT, package))
        inside = clean.removeprefix(f"{package}/")
        if inside != clean and inside in self.contents:
            self.taken.add(inside)
            return self.contents[inside]
        if inside != clean and inside in self.paths:  # too large to be kept
            raise NotFollowed(clean)
        if clean.removeprefix(f"{common}/") in self.common:
            raise NotFollowed(clean)
        return None
