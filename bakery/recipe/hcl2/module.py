"""The files of an HCL2 template as one module: what they declare, with the errors that Packer gives.

Source: hcl2template/parser.go and types.*.go (schemas of the blocks, duplicates, the order of var files).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bakery.recipe.hcl2.json_syntax import parse_json_body
from bakery.recipe.hcl2.types import ANY, Type, is_exact, parse_type
from bakery.recipe.hcl2.values import Invalid
from bakery.recipe.parse import Findings
from bakery.recipe.parse import hcl_nodes as nodes
from bakery.recipe.parse.hcl import parse_hcl
from bakery.recipe.parse.json import parse_json
from bakery.recipe.templating import HCL2, HCL2_VALUES

_LABELS = {
    **{"packer": 0, "variable": 1, "variables": 0, "local": 1, "locals": 0, "data": 2, "source": 2, "build": 0},
    **{"hcp_packer_registry": 0, "communicator": 2},
}
_ATTRIBUTES = {
    "packer": {"required_version"},
    "variable": {"type", "default", "description", "sensitive"},
    "local": {"expression", "sensitive"},
    "build": {"name", "description", "sources"},
}
_BLOCKS: dict[str, dict[str, int]] = {
    "packer": {"required_plugins": 0},
    "variable": {"validation": 0},
    "variables": {},
    "local": {},
    "locals": {},
    "build": {
        **{"source": 1, "provisioner": 1, "error-cleanup-provisioner": 1, "post-processor": 1, "post-processors": 0},
        **{"hcp_packer_registry": 0, "dynamic": 1},
    },
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
At = tuple[str, int]  # file and line
Given = tuple[At, nodes.Expression]


@dataclass(frozen=True)
class InputVariable:
    """A variable. ``default`` is None without one."""

    at: At
    type: Type
    type_text: str
    default: nodes.Expression | None
    sensitive: bool
    validations: tuple[nodes.Block, ...]


@dataclass
class Module:
    """What the files declare, by name and in file order; ``given`` are the values of each var file."""

    findings: Findings
    variables: dict[str, InputVariable] = field(default_factory=dict)
    given: list[tuple[str, dict[str, Given]]] = field(default_factory=list)
    automatic: int = 0  # how many of them Packer loads without being told
    locals: dict[str, tuple[str, nodes.Attribute]] = field(default_factory=dict)  # with their files
    data: dict[tuple[str, str], nodes.Block] = field(default_factory=dict)
    sources: dict[tuple[str, str], tuple[str, nodes.Block]] = field(default_factory=dict)
    builds: list[tuple[str, nodes.Block]] = field(default_factory=list)
    plugins: dict[str, nodes.Attribute] = field(default_factory=dict)
    choices: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()  # patterns of -only and of -except, for each call
    titles: frozenset[str] = frozenset()  # type and name of the sources that builds use
    mentioned: set[str] = field(default_factory=set)  # variables that any file names
    secret_locals: set[str] = field(default_factory=set)  # the sensitive ones

    @property
    def values(self) -> dict[str, Given]:
        """The values of var files by variable. The last file counts, as in Packer since 1.13."""
        return _last(self.given)

    @property
    def values_before_1_13(self) -> dict[str, Given]:
        """The same for older Packers, which read all JSON files after all others."""
        return _last(sorted(self.given, key=lambda one: one[0].endswith(".json")))


def _last(given: Iterable[tuple[str, dict[str, Given]]]) -> dict[str, Given]:
    return {name: value for _, values in given for name, value in values.items()}


def parse_module(contents: Mapping[str, bytes], findings: Findings) -> Module | None:
    """Return the module of these files in Packer's order, or None with errors."""
    bodies = {name: _parse(content, findings.at(name)) for name, content in _ordered(contents, HCL2)}
    module = Module(findings)
    for name, body in bodies.items():
        if body is not None:
            _Declarations(module, name).take(body)
            module.mentioned.update(re.findall(r"\bvar\.([\w-]+)", contents[name].decode(errors="replace")))
    for name, content in _ordered(contents, HCL2_VALUES):
        take_values(module, name, content)
    module.automatic = len(module.given)
    return None if None in bodies.values() else module


def take_values(module: Module, name: str, content: bytes) -> None:
    """Set variables from a var file; a name that is not declared is ignored, as Packer does it."""
    body = _parse(content, module.findings.at(name))
    values = {one.name: ((name, one.line), one.expression) for one in (body.attributes.values() if body else ())}
    module.given.append((name, values))
    for block in body.blocks if body else ():
        hint = f"write NAME = value; declare variables in a file that ends with {HCL2[0]}"
        module.findings.at(name).error(block.line, f"a block {block.type} in a file of values", hint)


def _ordered(contents: Mapping[str, bytes], suffixes: Sequence[str]) -> list[tuple[str, bytes]]:
    """Return the files with these suffixes, those of the first suffix first."""
    return [(name, contents[name]) for suffix in suffixes for name in sorted(contents) if name.endswith(suffix)]


def _parse(content: bytes, findings: Findings) -> nodes.Body | None:
    if findings.file.endswith(".hcl"):
        return parse_hcl(content, findings)
    document = parse_json(content, findings)
    if document is None:
        return None
    if not isinstance(document.value, dict):
        findings.error(1, "not an object", "write an object")
        return None
    return parse_json_body(document)


def _is_true(attribute: nodes.Attribute | None) -> bool:
    return attribute is not None and getattr(attribute.expression, "value", None) is True


class _Declarations:
    """Takes the blocks of one file into the module."""

    def __init__(self, module: Module, file: str) -> None:
        self.module = module
        self.file = file
        self.findings = module.findings.at(file)

    def take(self, body: nodes.Body) -> None:
        for attribute in body.attributes.values():
            hint = "write a block: variable, locals, source, build"
            self.findings.error(attribute.line, f"an attribute {attribute.name} outside of a block", hint)
        for block in body.blocks:
            if block.type not in _LABELS:
                hint = f"write one of {', '.join(_LABELS)}"
                self.findings.error(block.line, f"unknown block {block.type}", hint)
            elif self.fits(block, _LABELS[block.type]):
                taker = getattr(self, f"take_{block.type}", None)
                if taker is not None:
                    taker(block)

    def fits(self, block: nodes.Block, labels: int) -> bool:
        """Whether a block has its labels and only known content."""
        right = len(block.labels) == labels
        if not right:
            hint = " ".join([f"write {block.type}", *['"..."'] * labels])
            self.findings.error(block.line, f"{block.type} has {len(block.labels)} labels instead of {labels}", hint)
        for name, attribute in block.body.attributes.items():
            if block.type in _ATTRIBUTES and name not in _ATTRIBUTES[block.type]:
                hint = f"write one of {', '.join(sorted(_ATTRIBUTES[block.type]))}"
                self.findings.error(attribute.line, f"{block.type} has no attribute {name}", hint)
                right = False
        for inner in block.body.blocks if block.type in _BLOCKS else ():
            known = _BLOCKS[block.type]
            if inner.type not in known:
                hint = f"write one of {', '.join(known)}" if known else "write attributes"
                self.findings.error(inner.line, f"unknown block {inner.type} in {block.type}", hint)
                right = False
            elif len(inner.labels) != known[inner.type]:
                hint = f'write {inner.type} "..." {{' if known[inner.type] else f"write {inner.type} {{"
                self.findings.error(inner.line, f"{inner.type} has {len(inner.labels)} labels", hint)
                right = False
        return right

    def new(self, name: str, known: object, line: int, what: str) -> bool:
        """Whether a name is right and new."""
        if not _NAME.fullmatch(name):
            self.findings.error(line, f"{what} has an invalid name", "use letters, digits, _ and -")
        elif known:
            self.findings.error(line, f"duplicate {what}", "remove one of them")
        return bool(_NAME.fullmatch(name)) and not known

    def take_packer(self, block: nodes.Block) -> None:
        for plugins in block.body.of("required_plugins"):
            self.module.plugins |= plugins.body.attributes

    def take_variable(self, block: nodes.Block) -> None:
        name, attributes = block.labels[0], block.body.attributes
        if not self.new(name, name in self.module.variables, block.line, f"variable {name}"):
            return
        kind, text = ANY, "any"
        if "type" in attributes:
            expression = attributes["type"].expression
            try:
                kind, text = parse_type(expression), expression.text
                if not is_exact(kind):
                    hint = "write exact types, or none: then the type is that of the default"
                    self.findings.warn(expression.line, "Packer 1.6 to 1.15 refuse any and optional() in a type", hint)
            except Invalid as error:
                self.findings.error(*error.args)
        default = attributes["default"].expression if "default" in attributes else None
        hidden = _is_true(attributes.get("sensitive"))
        self.module.variables[name] = InputVariable(
            (self.file, block.line), kind, text, default, hidden, tuple(block.body.of("validation"))
        )

    def take_variables(self, block: nodes.Block) -> None:
        for name, attribute in block.body.attributes.items():
            if self.new(name, name in self.module.variables, attribute.line, f"variable {name}"):
                at = (self.file, attribute.line)
                self.module.variables[name] = InputVariable(at, ANY, "any", attribute.expression, False, ())

    def take_locals(self, block: nodes.Block) -> None:
        for name, attribute in block.body.attributes.items():
            self.add_local(name, attribute)

    def take_local(self, block: nodes.Block) -> None:
        expression = block.body.attributes.get("expression")
        if expression is None:
            self.findings.error(block.line, f"local {block.labels[0]} has no expression", "add: expression = ...")
        else:
            self.add_local(block.labels[0], expression)
            if _is_true(block.body.attributes.get("sensitive")):
                self.module.secret_locals.add(block.labels[0])

    def add_local(self, name: str, attribute: nodes.Attribute) -> None:
        if self.new(name, name in self.module.locals, attribute.line, f"local {name}"):
            self.module.locals[name] = self.file, attribute

    def take_data(self, block: nodes.Block) -> None:
        key = (block.labels[0], block.labels[1])
        if self.new(key[1], key in self.module.data, block.line, f"data source {'.'.join(key)}"):
            self.module.data[key] = block

    def take_source(self, block: nodes.Block) -> None:
        key = (block.labels[0], block.labels[1])
        if self.new(key[1], key in self.module.sources, block.line, f"source {'.'.join(key)}"):
            self.module.sources[key] = self.file, block

    def take_build(self, block: nodes.Block) -> None:
        self.module.builds.append((self.file, block))
