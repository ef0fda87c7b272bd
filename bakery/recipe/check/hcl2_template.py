"""An HCL2 template of a package: read once, and evaluated for the variables of each variant.

What parses and evaluates is imported only for a package that has one.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bakery.recipe.call_place import CallPlace, place
from bakery.recipe.check.cloud_build import find
from bakery.recipe.check.step_folder import from_template
from bakery.recipe.check.workspace import Workspace
from bakery.recipe.model import BuildCalls, Variant
from bakery.recipe.packer_call import with_choices
from bakery.recipe.parse import Document, Findings, Where, quoted
from bakery.recipe.substitutions import dynamic, substitute
from bakery.recipe.templating import HCL2

if TYPE_CHECKING:
    from bakery.recipe.hcl2.module import Module
    from bakery.recipe.hcl2.template import TemplateMaker

FROM_ENVIRONMENT = "PKR_VAR_"  # Packer sets variables of HCL2 from such names, too


def find_hcl2(
    contents: Mapping[str, bytes], workspace: Workspace, file: str | None, findings: Findings
) -> Hcl2Template | None:
    """Return the HCL2 template of a package, or None if it has none.

    ``file`` is the only one that Packer reads; with "" it is all at the top of the package, and the values beside them.
    """
    names = sorted(name for name in workspace.paths if name.endswith(HCL2) and "/" not in name)
    names = [name for name in names if file in ("", name)]
    if not names:
        return None
    from bakery.recipe.hcl2.module import parse_module

    large = [name for name in names if name not in contents]
    for name in large:
        findings.at(name).error(1, "is too large", "keep it below 256 KiB")
    own = {name: content for name, content in contents.items() if "/" not in name and file in ("", name)}
    module = None if large else parse_module(own, findings.at(names[0]))
    return Hcl2Template(contents, workspace, file or "", module)


class Hcl2Template:
    """The template of a package with these ``contents``, which is that ``file`` alone, or all files for "".

    ``module`` is None if a file can't be parsed.
    """

    def __init__(self, contents: Mapping[str, bytes], workspace: Workspace, file: str, module: Module | None) -> None:
        self.contents = contents
        self.workspace = workspace
        self.file = file
        self.module = module
        self.staged = ("", "")  # where the package and common are
        self.place: CallPlace | None = None
        self.build: Document | None = None
        self.calls = BuildCalls()
        self.values: Mapping[str, str] = {}
        self.moved: Callable[[Document], Document] = lambda document: document
        self.taken: set[str] = set()  # the files of the package that functions have read, and patterns of listed ones
        self.shared: set[str] = set()  # patterns of the files of common that functions have listed
        self.listed: set[str] = set()  # and of those of other packages
        self.others: list[tuple[Document, Mapping[str, str]]] = []  # those of the sources after the first

    def declarations(self) -> Document | None:
        """Return the variables as a template without anything else; None if a file can't be parsed."""
        if self.module is None:
            return None
        template = self._template(self.module)
        return template.document_of({"variables": template.variables()})

    def take_call(self, build: Document | None, calls: BuildCalls, values: Mapping[str, str]) -> None:
        """Take what the command lines say besides ``-var``: ``-var-file``, ``-only`` and ``-except``, and the folders.

        The package and common are where the workspace says at this time.
        """
        self.staged = (self.workspace.package_path, self.workspace.common_path)
        self.place = place(calls, values, f"{self.staged[0]}/{HCL2[0]}")
        if self.module is None or build is None:
            return
        self.build, self.calls, self.values = build, calls, values
        self.moved = partial(from_template, calls=calls, values=values, exists=self.workspace.exists)
        self.choose({})
        for name in sorted({*calls.environment, *calls.secrets}):
            if name.startswith(FROM_ENVIRONMENT):
                hint = f"pass -var {name.removeprefix(FROM_ENVIRONMENT)}=..., which the plan reads"
                build.error(f"{name} sets a variable in the environment", hint, *find(build, ("steps",), name))
        self.take_files({})

    def choose(self, substitutions: Mapping[str, str]) -> None:
        """Take the patterns of ``-only`` and ``-except`` with these substitutions of a variant."""
        if self.module is not None and self.build is not None:
            called = with_choices(self.calls, self.build.value, {**self.values, **substitutions})
            self.module.choices = tuple((call.only, call.exclude) for call in called.calls)

    def take_files(self, substitutions: Mapping[str, str]) -> None:
        """Take the values of the files that ``-var-file`` names with these substitutions of a variant."""
        if self.module is None or self.build is None:
            return
        from bakery.recipe.hcl2.constants import check_order

        self.module.given = self.module.given[: self.module.automatic]
        values = dynamic(self.build.value, {**self.values, **substitutions})
        for text in self.calls.files:
            path = posixpath.normpath(substitute(text, values))
            where = find(self.build, ("steps",), re.escape(posixpath.basename(text)))
            if "$" in path:  # neither the plan nor the digest would have its values
                hint = "name it with substitutions that cloudbuild.yaml sets"
                self.build.error(f"-var-file {quoted(path)} is only known in the build", hint, *where)
            else:
                self._take_file(self.module, self.build, where, path)
        check_order(self.module, self.calls.variables)

    def _take_file(self, module: Module, build: Document, where: Where, path: str) -> None:
        """Take the values of a file of this or another package, or of common."""
        from bakery.recipe.hcl2.module import take_values

        inside = self._inside(path)
        content = self.contents.get(inside) if inside else self.workspace.content(path)
        if not path.endswith((".hcl", ".json")):
            build.error(
                f"-var-file {quoted(path)} is of no known format", "let its name end with .hcl or .json", *where
            )
        elif content is not None:
            take_values(module, posixpath.relpath(path, self.staged[0]), content)
        elif self.workspace.exists(path):
            build.error(f"-var-file {quoted(path)} is too large", "keep it below 256 KiB", *where)
        else:
            hint = "put it into the package or common, or fix the path; paths begin where Packer runs"
            build.error(f"-var-file {quoted(path)} does not exist", hint, *where)

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
        for one in (document, *others):
            one.value["hcl2"] |= {"read": sorted(self.taken)} if self.taken else {}
            one.value["hcl2"] |= {"shared": sorted(self.shared)} if self.shared else {}
            one.value["hcl2"] |= {"listed": sorted(self.listed)} if self.listed else {}
            one.value["hcl2"] |= {"file": self.file} if self.file else {}
        if others:
            document.value["hcl2"]["others"] = [one.value for one in others]
        self.others += [(one, values) for one in others]
        return document

    def _template(self, module: Module) -> TemplateMaker:
        from bakery.recipe.hcl2.file_functions import Files
        from bakery.recipe.hcl2.template import TemplateMaker

        return TemplateMaker(module, Files(self.place, self.read, self.below, self.staged[1]))

    def variants(
        self,
        variants: Iterable[Variant],
        template: Document,
        values_of: Callable[[Variant, Document], dict[str, str]],
    ) -> tuple[tuple[Variant, ...], list[dict[str, str]]]:
        """Return the variants, each with its own template if the values of its variables shape it, and these values.

        ``values_of`` returns them for the declarations of a variant. Afterwards ``others`` are those of the variants.
        """
        self.others.clear()
        made: list[Variant] = []
        values: list[dict[str, str]] = []
        for variant in variants:
            self.choose(variant.substitutions)
            if self.calls.files:
                self.take_files(variant.substitutions)
            values.append(values_of(variant, (self.declarations() if self.calls.files else None) or template))
            own = self.document(values[-1]).value
            made.append(variant if own == template.value else replace(variant, template=own))
        return tuple(made), values

    def read(self, path: str) -> bytes | None:
        """Return a file of the workspace, or None if there is none.

        Raises NotFollowed for one of common or of another package, which Packer has to read, and IsADirectoryError.
        """
        from bakery.recipe.hcl2.values import NotFollowed

        inside = self._inside(path)
        if inside in self.contents:
            self.taken.add(inside)
            return self.contents[inside]
        if inside in self.workspace.paths:  # too large to be kept
            raise NotFollowed(f"{self.staged[0]}/{inside}")
        if inside and any(name.startswith(f"{inside}/") for name in self.workspace.paths):
            raise IsADirectoryError
        if inside:
            self.taken.add(inside)  # it would be read if it were there
        elif self.workspace.exists(path):
            raise NotFollowed(path)
        return None

    def below(self, folder: str) -> Collection[str] | None:
        """Return all files below a folder of a package, or of common; None if it holds more than these."""
        package, common = self.staged
        at = f"{folder}/"
        inside = self._inside(folder)
        if inside or folder == self._home():
            self.taken.add(f"{inside}/**" if inside else "**")
            prefix = f"{inside}/" if inside else ""
            return [f"{self._home()}/{name}" for name in self.workspace.paths if name.startswith(prefix)]
        if folder == common or folder.startswith(f"{common}/"):
            self.shared.add("/".join([*filter(None, [folder[len(common) + 1 :]]), "**"]))
            return [path for name in self.workspace.common if (path := f"{common}/{name}").startswith(at)]
        if folder == "." or any(path.startswith(at) for path in (package, common)):
            return None
        found = self.workspace.listed(folder)
        if other := self.workspace.others.get(folder):
            self.listed.add(f"{other}/**")
        return found

    def _home(self) -> str:
        """Return the folder of the template, as the call names it; usually that is where the package is staged."""
        home = self.place.path("") if self.place else ""
        named = posixpath.basename(home) == posixpath.basename(self.staged[0])
        return home if named else self.staged[0]

    def _inside(self, path: str) -> str:
        """Return the path below the package's folder of a path in the workspace; "" for one that is elsewhere."""
        for folder in (self._home(), self.staged[0]):
            if path.startswith(f"{folder}/"):
                return path[len(folder) + 1 :]
        return ""
