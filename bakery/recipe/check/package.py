"""One package: all its files checked against each other. Pure: works on a tree that was read before."""

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from bakery.recipe.check import cloud_build, cluster, fluidrun, matrix, packer_template, spack_environments
from bakery.recipe.check.checked_package import TIMEOUT, Checked
from bakery.recipe.check.references import bounded
from bakery.recipe.check.spack_installer import Installer
from bakery.recipe.model import ClusterShape, Suite, Variant
from bakery.recipe.parse import Document, Findings, listed, quoted, tfvars
from bakery.recipe.parse import json as json_parser
from bakery.recipe.parse import yaml as yaml_parser
from bakery.recipe.templating import (
    FAMILY,
    REFERENCE,
    SOURCE_FAMILY,
    declared,
    dynamic,
    packer_arguments,
    passed,
    resolve,
    substitute,
    substitutions_in,
)

TEMPLATE, BUILD, SUITE, RECIPE = "packer.json", "cloudbuild.yaml", "fluidrun.yaml", "recipe.yaml"
TFVARS = "test/rcc.auto.tfvars"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Sources:
    """What a package is checked from: its files below its folder, and the paths of ``common/`` below that folder."""

    name: str
    contents: Mapping[str, bytes]
    files: Collection[str]
    common: Collection[str]
    workspace_path: str  # where the folder is staged unless pkg_path says otherwise
    spack_ref: str
    installer: Installer  # common/spack-install.sh


def check_package(sources: Sources) -> Checked:
    """Read and check all files of the package."""
    return _Package(sources).check()


class _Package:
    """The files of one package as they are read, one after another."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.findings = Findings()
        self.values: dict[str, str] = {}
        self.workspace_path = sources.workspace_path
        self.common_path = "common"
        self.arguments: dict[str, str] = {}  # of Packer, as cloudbuild.yaml has them
        self.usable = False  # whether the plan can work with it

    def read(self, name: str, reader: Callable[[bytes, Findings], Document | None]) -> Document | None:
        """Return the document of a file, or None if it does not exist or is invalid, or not a mapping."""
        if name not in self.sources.files:
            return None
        found = self.findings.at(name)
        if name not in self.sources.contents:
            found.error(1, "is too large", "keep it below 256 KiB")
            return None
        document = reader(self.sources.contents[name], found)
        if document is not None and not isinstance(document.value, dict):
            found.error(1, f"is {quoted(document.value)}", "write a mapping")
            return None
        return document

    def check(self) -> Checked:
        found = self.read(TEMPLATE, json_parser.parse_json)
        if TEMPLATE not in self.sources.files:
            self.findings.at(TEMPLATE).error(1, "not a readable file", "write Packer's template there")
        template = found or Document({}, Findings(TEMPLATE))  # its findings are discarded
        packer_template.check(template)
        build = self.build()
        self.arguments = packer_arguments(build.value) if build is not None else {}
        self.usable = found is not None and packer_template.usable(template) and self.values_end(template, build)
        if self.usable:
            self.paths(template, build)
        suite = self.suite()
        extra = self.read(RECIPE, yaml_parser.parse_yaml)
        variants: tuple[Variant, ...] = (Variant(),)
        if extra is not None and matrix.valid(extra):
            suite = self.clustered(suite, matrix.cluster(extra))
            variants = matrix.variants(extra, suite) or variants
        if self.usable:
            self.taken(extra, template, variants)
            self.files(template, build, variants)
        self.partitions(suite, variants)
        trusted = template if self.usable else None
        spack_environments.check(
            trusted, self.sources.contents, self.sources.installer, self.sources.spack_ref, self.findings
        )
        self.named()
        value = extra.value if extra is not None else {}
        return Checked(
            usable=self.usable,
            workspace_path=self.workspace_path,
            common_path=self.common_path,
            template=template.value,
            build=build.value if build is not None and isinstance(build.value.get("steps"), list) else {},
            substitutions=self.values,
            timeout=cloud_build.timeout(build) if build is not None else TIMEOUT,
            variants=variants,
            suite=suite,
            owners=tuple(str(owner) for owner in listed(value.get("owners"))),
            description=str(value.get("description") or ""),
            family_at=self.set_at(template, build, FAMILY, "image_family"),
            base_at=self.set_at(template, build, SOURCE_FAMILY, "source_image_family"),
            problems=tuple(self.findings.problems),
        )

    def build(self) -> Document | None:
        """``cloudbuild.yaml``, checked on its own; other build files (``cloudbuild.benchmark.yaml``) only warn."""
        for name in sorted(self.sources.files):
            if re.fullmatch(r"cloudbuild\..+\.ya?ml", name):
                self.other_build(name)
        build = self.read(BUILD, yaml_parser.parse_yaml)
        if build is None:
            if BUILD not in self.sources.files:
                hint = f"add {BUILD} to set them, and how long a build may take"
                self.findings.at(BUILD).warn(1, "missing: packer.json's own values count", hint)
            return None
        self.values = cloud_build.substitutions(build)
        cloud_build.check(build, self.values)
        self.named_suites(build, self.values)
        return build

    def other_build(self, name: str) -> None:
        other = self.read(name, yaml_parser.parse_yaml)
        if other is not None:
            values = other.value.get("substitutions")
            texts = (
                {key: text for key, text in values.items() if isinstance(text, str)} if isinstance(values, dict) else {}
            )
            self.named_suites(other, texts)

    def named_suites(self, build: Document, values: Mapping[str, str]) -> None:
        """Files that a Fluid-Run step names and that are not there; the tests run from fluidrun.yaml all the same."""
        for prefix, instead in (("--ci-file=", SUITE), ("--rcc-tfvars=", TFVARS)):
            for where, path in cloud_build.options(build, prefix):
                filled = posixpath.normpath(substitute(path, values))
                if "$" not in filled and posixpath.basename(filled) not in self.names():
                    hint = (
                        f"write {instead}, which the bakery reads"
                        if instead in self.sources.files
                        else f"add {instead}"
                    )
                    build.warn(f"{quoted(filled)} does not exist", hint, *where)

    def names(self) -> set[str]:
        return {posixpath.basename(path) for path in self.sources.files}

    def values_end(self, template: Document, build: Document | None) -> bool:
        """Whether variables and substitutions come to an end when they are filled in."""
        right = bounded(declared(template.value), REFERENCE.findall, template, "variables")
        if build is not None:
            right &= bounded(self.values, substitutions_in, build, "substitutions")
        return right

    def variables(self, template: Document, build: Document | None, variant: Variant = Variant()) -> dict[str, str]:  # noqa: B008
        """The Packer variables of a variant; an unset one keeps the template's default."""
        values = dynamic(build and build.value, {**self.values, **variant.substitutions})
        default = declared(template.value)
        return resolve({**default, **passed(self.arguments, values, default, variant.substitutions)})

    def paths(self, template: Document, build: Document | None) -> None:
        """Where the folder and ``common/`` are staged: what pkg_path and common_path say."""
        variables = self.variables(template, build)
        where = ("variables", "pkg_path")
        written = str(declared(template.value).get("pkg_path") or "")
        self.common_path = self.staged(template, variables.get("common_path"), ("variables", "common_path"), "common")
        self.workspace_path = self.staged(template, variables.get("pkg_path"), where, self.workspace_path)
        for path in dict.fromkeys((written, self.workspace_path)):
            if path and "{{" not in path and posixpath.basename(path) != self.sources.name:
                self.misnamed(template, path)
        if self.common_path == self.workspace_path:
            template.error("pkg_path and common_path are the same", "give each its own path", *where)

    def misnamed(self, template: Document, path: str) -> None:
        hint = f"write {self.sources.workspace_path}"
        if path != self.workspace_path:
            hint += f"; cloudbuild.yaml sets {self.workspace_path}, which the bake uses"
        template.warn(f"pkg_path {quoted(path)} names another package", hint, "variables", "pkg_path")

    def staged(self, template: Document, path: str | None, where: tuple[str, ...], default: str) -> str:
        if not path:
            return default
        clean = posixpath.normpath(path)
        if "{{" in path or "$" in path or path.startswith(("/", "~")) or clean.split("/")[0] in (".", ".."):
            template.error(f"{where[-1]} is {quoted(path)}", f"write a path below the workspace, as {default}", *where)
            return default
        return clean

    def exists(self, path: str) -> bool:
        """Whether a workspace path is a file or a folder that holds one; true while it is unknown where paths begin."""
        if not self.usable:
            return True
        for prefix, files in ((self.workspace_path, self.sources.files), (self.common_path, self.sources.common)):
            below = path[len(prefix) + 1 :] if path.startswith(prefix + "/") else None
            if path == prefix or prefix.startswith(path + "/"):
                return bool(files)
            if below is not None and (below in files or any(file.startswith(below + "/") for file in files)):
                return True
        return False

    def suite(self) -> Suite | None:
        """The tests, and the cluster of ``test/rcc.auto.tfvars``."""
        shape = None
        if TFVARS in self.sources.files:
            given = self.read(TFVARS, tfvars.parse_tfvars)
            shape = cluster.from_tfvars(given) if given is not None else None
        document = self.read(SUITE, yaml_parser.parse_yaml)
        if document is None:
            return None
        return Suite(fluidrun.jobs(document, self.exists), shape or ClusterShape())

    @staticmethod
    def clustered(suite: Suite | None, shape: ClusterShape | None) -> Suite | None:
        return Suite(suite.jobs, shape) if suite is not None and shape is not None else suite

    def partitions(self, suite: Suite | None, variants: Iterable[Variant]) -> None:
        """Partitions that jobs name and no cluster has."""
        if suite is None:
            return
        shapes = [variant.cluster or suite.cluster for variant in variants]
        known = {partition.name: None for shape in shapes for partition in shape.partitions}
        document = self.read(SUITE, yaml_parser.parse_yaml) if any(_elsewhere(suite, known)) else None
        if document is None:
            return
        for index, entry in document.entries("tests", "jobs"):
            if entry.get("partition") is not None and entry["partition"] not in known:
                hint = f"the cluster has {', '.join(known)}; partitions are defined in {TFVARS} or {RECIPE}"
                document.error(f"no cluster has partition {entry['partition']}", hint, "tests", index, "partition")

    def taken(self, extra: Document | None, template: Document, variants: Iterable[Variant]) -> None:
        """Substitutions of the matrix that neither a step nor a variable of the template takes."""
        if extra is None:
            return
        variables = template.value.get("variables")
        names = {f"_{name.upper()}" for name in variables} if isinstance(variables, dict) else set()
        known = {*self.values, *names, FAMILY, SOURCE_FAMILY}
        for name in dict.fromkeys(key for variant in variants for key in variant.substitutions):
            if name not in known:
                hint = f"add it to the substitutions of {BUILD}, or declare the variable in {TEMPLATE}"
                extra.warn(f"nothing uses {name}", hint, "matrix")

    def files(self, template: Document, build: Document | None, variants: Iterable[Variant]) -> None:
        if build is not None:
            cloud_build.check_arguments(build, self.arguments, declared(template.value))
        packer_template.check_required(template, self.arguments)
        for variables in _distinct(self.variables(template, build, variant) for variant in variants):
            packer_template.check_files(template, variables, self.exists)

    def named(self) -> None:
        if not _NAME.fullmatch(self.sources.name):
            hint = "use letters, digits, . _ and -: the name is part of paths and labels"
            self.findings.at(TEMPLATE).error(1, f"the package's name is {quoted(self.sources.name)}", hint)

    def set_at(self, template: Document, build: Document | None, substitution: str, variable: str) -> tuple[str, int]:
        """Where a substitution is set, or the variable that stands for it; else the builder's own key."""
        if build is not None and substitution in self.values:
            return BUILD, build.line("substitutions", substitution)
        variables = template.value.get("variables")
        is_variable = isinstance(variables, dict) and variable in variables
        return TEMPLATE, template.line(*(("variables",) if is_variable else ("builders", 0)), variable)


def _elsewhere(suite: Suite, known: Collection[str]) -> list[bool]:
    return [job.partition is not None and job.partition not in known for job in suite.jobs]


def _distinct(many: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    made: list[dict[str, str]] = []
    for one in many:
        if one not in made:
            made.append(one)
    return made
