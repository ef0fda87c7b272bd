"""An HCL2 module with the values of its variables as the model of a template that ``packer.json`` gives, too.

The model has one builder that is baked (a ``googlecompute`` source of a build, else the first ``qemu`` one) and its
provisioners: those of the other sources are left out, ``only``, ``except``, ``override``, ``dynamic`` and ``for_each``
are done. Key ``hcl2`` holds what :mod:`bakery.recipe.hcl2.render` needs to write it as HCL again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bakery.errors import errors_among
from bakery.recipe.hcl2.blocks import BlockReader
from bakery.recipe.hcl2.choose import Chosen, choose
from bakery.recipe.hcl2.constants import DEFAULT, FILE, constant, is_code, plain, type_of_default
from bakery.recipe.hcl2.encoding import as_json
from bakery.recipe.hcl2.evaluate import Bound, Evaluator
from bakery.recipe.hcl2.file_functions import Files
from bakery.recipe.hcl2.module import InputVariable, Module
from bakery.recipe.hcl2.secrets import hidden_options
from bakery.recipe.hcl2.types import ANY, SCALARS, Type, convert
from bakery.recipe.hcl2.values import (
    SEQUENCE,
    Invalid,
    NotFollowed,
    Unfollowed,
    Value,
    marker,
    number_text,
)
from bakery.recipe.model import Json
from bakery.recipe.parse import Document, Where
from bakery.recipe.parse import hcl_nodes as nodes
from bakery.recipe.parse.hcl import parse_expression
from bakery.recipe.plugins import BUILDERS
from bakery.recipe.substitutions import substitutions_in
from bakery.recipe.templating import NOT_FOLLOWED

# Variables that the settings of a stack set, which are not known when a package is checked.
_SPACK = "source ref packages_source packages_ref cache cache_key mirror"
FROM_SETTINGS = frozenset(f"spack_{name}" for name in _SPACK.split())
NAMES = ("image_name", "image_family", "image_description", "image_labels", "instance_name", "labels")
_BUILD_VALUES = """
ID Host Port User Password ConnType PackerRunUUID PackerHTTPAddr PackerHTTPIP PackerHTTPPort SSHPublicKey SSHPrivateKey
WinRMPassword SourceImageName
"""
BUILD_VALUES = tuple(_BUILD_VALUES.split())


class TemplateMaker:
    """Makes the template model of a module for the values of its variables."""

    def __init__(self, module: Module, files: Files) -> None:
        self.module = module
        self.files = files
        self.count = 1  # of the sources that are baked
        self.wrong: set[str] = set()  # variables whose values Packer refuses, which has been reported
        self.lines: dict[Where, tuple[str, int]] = {}
        self.types: dict[str, Type] = {}
        for name, variable in module.variables.items():
            self.lines["variables", name] = variable.at
            self.types[name] = variable.type if variable.type != ANY else type_of_default(variable.default)

    def variables(self) -> dict[str, str | None]:
        """Return the variables as a JSON template declares them: their values as text, None for one without."""
        return {name: self.default(name, variable) for name, variable in self.module.variables.items()}

    def default(self, name: str, variable: InputVariable) -> str | None:
        """Return a variable's value without arguments: that of a var file, or the default."""
        given = self.module.values.get(name)
        (file, line), expression = given or (variable.at, variable.default)
        if expression is None:
            return None
        try:
            value = constant(expression, FILE if given else DEFAULT)
            return written(convert(value, self.types[name], line))
        except Invalid as error:
            self.module.findings.at(file).error(*error.args)
            self.wrong.add(name)
        except NotFollowed:
            return marker(expression.text)
        return ""

    def document(self, given: Mapping[str, str], number: int = 0) -> Document:
        """Return the template with these values of its variables, for the source with this number."""
        model: dict[str, Json] = {"variables": self.variables()}
        values = {name: self.value(name, variable, given) for name, variable in self.module.variables.items()}
        kept = frozenset(
            name
            for name, value in values.items()
            if isinstance(value, (str, int, float))
            or (isinstance(value, Unfollowed) and self.types[name].kind in (*SCALARS, "any"))
        )
        evaluator = Evaluator(values, kept, self.module.locals, frozenset(self.module.data), self.files)
        evaluator.wrong = bool(self.wrong)
        self.validate(evaluator)
        chosen = choose(self.module, evaluator)
        self.count = len(chosen)
        if number < len(chosen):
            try:
                model |= self.model(chosen[number], evaluator)
            except Invalid as error:
                self.module.findings.at(error.file or chosen[number].file).error(*error.args)
        if not errors_among(self.module.findings.problems):
            self.check_locals(evaluator)
        model["hcl2"] = self.extras(model)
        if number < len(chosen):
            one = chosen[number]
            secret = hidden_options(self.module, [self.module.sources[one.type, one.source][1], one.own])
            model["hcl2"] |= {"hidden": secret} if secret else {}
        if number < len(chosen) and chosen[number].build_name:
            model["hcl2"]["build"] = chosen[number].build_name
        if evaluator.left:
            model["hcl2"]["files"] = sorted(evaluator.left)
        hidden = [name for name, variable in self.module.variables.items() if variable.sensitive]
        model |= {"sensitive-variables": hidden} if hidden else {}
        document = self.document_of(model)
        self.report(document)
        return document

    def document_of(self, model: Json) -> Document:
        """Return a model with the places of its parts."""
        return Document(model, self.module.findings, self._line, find_file=self._file)

    def _line(self, where: Where) -> int | None:
        return self.lines[where][1] if where in self.lines else None

    def _file(self, where: Where) -> str:
        return self.lines[where][0] if where in self.lines else ""

    def value(self, name: str, variable: InputVariable, given: Mapping[str, str]) -> Value:
        """Return the typed value of a variable. One that only a build knows is not followed."""
        text = given.get(name)
        unknown = Unfollowed(f"var.{name}")
        if text is None or NOT_FOLLOWED in text or substitutions_in(text) or name in FROM_SETTINGS:
            return unknown
        if text == "" and name in self.wrong:
            return unknown
        (file, line), _ = self.module.values.get(name, (variable.at, None))
        try:
            own = self.default(name, variable)
            if text == own == "" and _is_null(variable, self.module.values.get(name)):
                return None
            kind = self.types[name]
            if kind.kind in ("string", "number") or (kind == ANY and (text != own or not is_code(text))):
                return convert(text, kind, line)
            expression = parse_expression(text, line)
            if expression is None:
                hint = f"write a value of type {variable.type_text}"
                raise Invalid(line, f"variable {name} is {text[:40]!r}", hint)
            return convert(constant(expression, FILE), kind, line)
        except Invalid as error:
            self.module.findings.at(file).error(*error.args)
            self.wrong.add(name)
        except NotFollowed:
            pass
        return unknown

    def validate(self, evaluator: Evaluator) -> None:
        """Report the values that a variable's own rules refuse."""
        for name, variable in self.module.variables.items():
            file, _ = variable.at
            findings = self.module.findings.at(file)
            for block in variable.validations:
                condition = block.body.attributes.get("condition")
                text = block.body.attributes.get("error_message")
                if condition is None or text is None:
                    findings.error(block.line, "validation needs condition and error_message", "add both")
                    continue
                try:
                    if evaluator.resolved(condition.expression, {}) is False:
                        message = str(getattr(text.expression, "value", text.expression.text))
                        findings.error(block.line, f"variable {name} has an invalid value: {message}", "change it")
                except Invalid as error:
                    self.module.findings.at(error.file or file).error(*error.args)
                except NotFollowed:
                    continue

    def check_locals(self, evaluator: Evaluator) -> None:
        """Report errors in values that nothing uses: Packer evaluates them, too."""
        for name, (file, attribute) in self.module.locals.items():
            try:
                evaluator.local(name, attribute.line)
            except Invalid as error:
                self.module.findings.at(error.file or file).error(*error.args)
            except NotFollowed:
                continue

    def model(self, chosen: Chosen, evaluator: Evaluator) -> dict[str, Json]:
        """Return builder, provisioners and post-processors."""
        source_file, source = self.module.sources[chosen.type, chosen.source]
        reader = BlockReader(evaluator, self.module.findings, self.lines, self.module.titles)
        plugin = BUILDERS.get(chosen.type)
        options = reader.options(source, source_file, ("builders", 0), {}, plugin)
        if chosen.own is not None:
            within = reader.inside(chosen.own, {})
            options |= reader.options(chosen.own, chosen.file, ("builders", 0), within, plugin)
        options.pop("name", None)
        build = {key: f"{{{{build `{key}`}}}}" for key in BUILD_VALUES} | {"name": reader.name_of(chosen.build)}
        bound: Bound = {"source": {"type": chosen.type, "name": chosen.name}, "build": build}
        provisioners: list[Json] = []
        cleanup: list[Json] = []
        after: list[Json] = []
        for block in reader.expanded(chosen.build.body.blocks, chosen.file, bound):
            if block.type == "provisioner":
                provisioners += reader.step(block, chosen, ("provisioners", len(provisioners)), bound)
            elif block.type == "error-cleanup-provisioner":
                cleanup += reader.step(block, chosen, ("error-cleanup-provisioner",), bound)
            elif block.type == "post-processor":
                after += reader.step(block, chosen, ("post-processors", len(after)), bound)
            elif block.type == "post-processors":
                place = ("post-processors", len(after))
                inner = [reader.step(one, chosen, (*place, n), bound) for n, one in enumerate(block.body.blocks)]
                after.append([one for steps in inner for one in steps])
        made: dict[str, Json] = {"builders": [{"type": chosen.type, "name": chosen.name, **options}]}
        made["provisioners"] = provisioners
        made |= {"error-cleanup-provisioner": cleanup[0]} if cleanup else {}
        return made | ({"post-processors": after} if after else {})

    def extras(self, model: Mapping[str, Json]) -> Json:
        """Return what is needed to write the model as HCL: types, and for unfollowed expressions what they name."""
        types = {name: variable.type_text for name, variable in self.module.variables.items()}
        made: dict[str, Any] = {"types": types}
        null = [name for name, one in self.module.variables.items() if _is_null(one, self.module.values.get(name))]
        made |= {"null": null} if null else {}
        plugins = {name: plain(plugin.expression) for name, plugin in self.module.plugins.items()}
        made |= {"plugins": plugins} if plugins else {}
        if NOT_FOLLOWED in as_json({key: value for key, value in model.items() if key != "variables"}):
            made["locals"] = {name: attribute.expression.text for name, (_, attribute) in self.module.locals.items()}
            made["data"] = [[*key, source_of(block.body)] for key, block in self.module.data.items()]
        return made

    def report(self, document: Document) -> None:
        """Report once what is only known in the bake, and variables that nothing uses."""
        for name in self.module.variables:
            if name not in self.module.mentioned:
                document.warn(f"variable {name} is not used", "remove it, or use it", "variables", name)
        options = document.value.get("builders", [{}])[0]
        for where, text in document.strings if not self.wrong else ():
            named = where[0] == "builders" and where[2] in NAMES and where[2] in options
            if where[0] in ("builders", "provisioners") and NOT_FOLLOWED in text and not named:
                what = text[text.index(NOT_FOLLOWED) + len(NOT_FOLLOWED) :].partition("}}")[0][:60]
                message = f"{what} is only known in the bake, so all files of the package count"
                document.warn(message, "write a value that the plan can follow, or leave it so", *where)
                return


def written(value: Value) -> str:
    """Return a variable's value as the text that ``-var`` takes: for lists and objects an expression."""
    if isinstance(value, (list, dict)):
        return SEQUENCE.sub(r"\1\1{", as_json(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value if isinstance(value, str) else number_text(value)


def source_of(body: nodes.Body) -> Json:
    """Return a body whose values are left to Packer, in HCL's JSON syntax."""
    made: dict[str, Any] = {name: f"${{{one.expression.text}}}" for name, one in body.attributes.items()}
    for block in body.blocks:
        inner: Any = source_of(block.body)
        for label in reversed(block.labels):
            inner = {label: inner}
        made.setdefault(block.type, []).append(inner)
    return made


def _is_null(variable: InputVariable, value: tuple[Any, nodes.Expression] | None) -> bool:
    expression = value[1] if value else variable.default
    return isinstance(expression, nodes.Literal) and expression.value is None
