"""One package: all its files checked against each other. Pure: works on a tree that was read before."""

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from bakery.errors import errors_among
from bakery.recipe.build_files import build_files
from bakery.recipe.check import (
    bake_values,
    bake_variables,
    build_schema,
    call_options,
    cloud_build,
    cluster,
    fluidrun,
    line_ends,
    matrix,
    named_files,
    packer_template,
    plugin_options,
    spack_environment,
    step_folder,
    tiers,
)
from bakery.recipe.check.hcl2_template import Hcl2Template, find_hcl2
from bakery.recipe.check.packer_keys import lower_case
from bakery.recipe.check.places import BUILD, set_at
from bakery.recipe.check.read_by_tools import read_by_tools
from bakery.recipe.check.self_references import values_end
from bakery.recipe.check.spack_installer import Installer
from bakery.recipe.check.workspace import Workspace
from bakery.recipe.expressions import fill
from bakery.recipe.model import BuildCalls, CheckedPackage, ClusterShape, Json, Suite, Variant
from bakery.recipe.packer_call import build_calls
from bakery.recipe.parse import Document, Findings, json, listed, quoted, tfvars, yaml
from bakery.recipe.substitutions import substitute
from bakery.recipe.templating import FAMILY, SOURCE_FAMILY, declared, settable

TEMPLATE, RECIPE = "packer.json", "recipe.yaml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NAME_HINT = "use letters, digits, . _ and -: the name is part of paths and labels"


@dataclass
class PackageCheck:
    """The check of one package, whose files and those of ``common/`` are in the workspace.

    The fields with defaults are what :meth:`run` has read so far.
    """

    name: str
    contents: Mapping[str, bytes]
    workspace: Workspace
    spack_ref: str
    installer: Installer  # common/spack-install.sh
    findings: Findings = field(default_factory=Findings)
    values: Mapping[str, str] = field(default_factory=dict)
    calls: BuildCalls = field(default_factory=BuildCalls)  # of Packer, as cloudbuild.yaml has them
    variable_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)  # without those of variants
    tests: Document | None = None
    usable: bool = False  # whether the plan can work with it

    @property
    def paths(self) -> Collection[str]:
        """The files of the package, below its folder."""
        return self.workspace.paths

    def _read(self, name: str, reader: Callable[[bytes, Findings], Document | None]) -> Document | None:
        """Return the document of a file, or None if it does not exist or is invalid, or not a mapping."""
        if name not in self.paths:
            return None
        found = self.findings.at(name)
        if name not in self.contents:
            found.error(1, "is too large", "keep it below 256 KiB")
            return None
        document = reader(self.contents[name], found)
        if document is not None and not isinstance(document.value, dict):
            found.error(1, f"is {quoted(document.value)}", "write a mapping")
            return None
        return document

    def run(self) -> CheckedPackage:
        """Read and check all files of the package."""
        staged, understood = self.workspace, True
        build = self._build()
        file = call_options.called_file(build, self.calls, self.values, self.paths, self.findings, package=self.name)
        hcl2 = None if file == TEMPLATE else find_hcl2(self.contents, staged, file, self.findings)
        found = hcl2.declarations() if hcl2 else self._read(TEMPLATE, json.parse_json)
        if TEMPLATE not in self.paths and not hcl2:
            self.findings.at(TEMPLATE).error(1, "not a readable file", "write Packer's template there")
        template = lower_case(found) if found else Document({}, Findings(TEMPLATE))  # discarded
        if hcl2 is None:
            self._read_variable_files(build)
            template = step_folder.from_template(template, self.calls, self.values, staged.exists)
            packer_template.check(template, self._given())
        elif found is not None:
            template, understood = self._evaluated(hcl2, template, build)
        self.usable = (
            found is not None and packer_template.usable(template) and values_end(template, build, self.values)
        )
        if self.usable:
            self.variables = self._variables(template, build)
            staged.set_paths(template, self.variables)
        suite = self._suite(build)
        extra = self._read(RECIPE, yaml.parse_yaml)
        variants: tuple[Variant, ...] = (Variant(),)
        if extra is not None and matrix.valid(extra):
            suite = matrix.with_cluster(extra, suite, self.contents)
            variants = matrix.variants(extra, suite) or variants
            tiers.check(extra, suite, variants)
        if self.usable:
            variants = self._templates(hcl2, template, build, variants, suite)
            if extra is not None:
                matrix.check_taken(extra, self.values, declared(template.value), variants)
            understood &= self._given_right(template, build, variants) or hcl2 is None
        self._partitions(suite, variants)
        self._further_checks(template if self.usable else None)
        return self._checked(template, build, extra, suite, variants, usable=self.usable and understood)

    def _further_checks(self, template: Document | None) -> None:
        """Check what no other file decides, and what needs the results of all other checks."""
        spack_environment.check(template, self.contents, self.installer, self.spack_ref, self.findings)
        if not _NAME.fullmatch(self.name):
            self.findings.at(TEMPLATE).error(1, f"the package's name is {quoted(self.name)}", _NAME_HINT)

    def _checked(
        self,
        template: Document,
        build: Document | None,
        extra: Document | None,
        suite: Suite | None,
        variants: tuple[Variant, ...],
        *,
        usable: bool,
    ) -> CheckedPackage:
        staged, value = self.workspace, extra.value if extra is not None else {}
        return CheckedPackage(
            usable=usable,
            workspace_path=staged.package_path,
            common_path=staged.common_path,
            template=template.value,
            build=build.value if build is not None and isinstance(build.value.get("steps"), list) else {},
            substitutions=self.values,
            timeout=cloud_build.timeout(build) if build is not None else cloud_build.TIMEOUT,
            variable_files=self.variable_files,
            variants=variants,
            suite=suite,
            owners=tuple(str(owner) for owner in listed(value.get("owners"))),
            description=str(value.get("description") or ""),
            isolation=str(value.get("isolation") or ""),
            layers=value.get("layers") is not False,
            names_builder=staged.names_builder(self.contents),
            secrets=matrix.secrets(extra),
            licence_servers=matrix.licence_servers(extra),
            others=staged.others,
            family_at=set_at(template, build, self.values, FAMILY, "image_family"),
            base_at=set_at(template, build, self.values, SOURCE_FAMILY, "source_image_family"),
            problems=tuple(self.findings.problems),
            calls=self.calls,
        )

    def _evaluated(self, hcl2: Hcl2Template, template: Document, build: Document | None) -> tuple[Document, bool]:
        """Return the template that the declarations of ``template`` begin, and whether there was no error in it."""
        self.workspace.set_paths(template, self._variables(template, build))
        hcl2.take_call(build, self.calls, self.values)
        before = len(self.findings.problems)
        made = hcl2.document(self._variables(hcl2.declarations() or template, build))
        return made, not errors_among(self.findings.problems[before:])

    def _build(self) -> Document | None:
        """``cloudbuild.yaml``, checked on its own; other build files (``cloudbuild.benchmark.yaml``) only warn."""
        for name in filter(re.compile(r"cloudbuild\..+\.ya?ml").fullmatch, sorted(self.paths)):
            self._other_build(name)
        build = self._read(BUILD, yaml.parse_yaml)
        if build is None:
            if BUILD not in self.paths:
                cloud_build.missing(self.findings.at(BUILD), self.paths)
            return None
        build = build_schema.camel_case(build)
        self.values = cloud_build.substitutions(build)
        self.calls = build_calls(build.value, self.name)
        cloud_build.check(build, self.values, self.calls)
        named_files.check_suites(build, self.values, self.paths, needed=True)
        cloud_build.notes(build, self.calls)
        return build

    def _other_build(self, name: str) -> None:
        other = self._read(name, yaml.parse_yaml)
        if other is not None:
            values = other.value.get("substitutions")
            given = values if isinstance(values, dict) else {}
            texts = {key: text for key, text in given.items() if isinstance(text, str)}
            named_files.check_suites(other, texts, self.paths, needed=False)

    def _read_variable_files(self, build: Document | None) -> None:
        """Read the files that ``-var-file`` names, of this or another package, or of ``common/``."""
        package, common = self.workspace.package_path, self.workspace.common_path
        files = {f"{package}/{path}": content for path, content in self.contents.items()}
        files |= {f"{common}/{path}": content for path, content in self.workspace.values.items()}
        named = {posixpath.normpath(substitute(path, self.values)) for path in self.calls.files}
        found = {path: self.workspace.content(path) for path in named - files.keys() if "$" not in path}
        files |= {path: content for path, content in found.items() if content is not None}
        self.variable_files = named_files.variable_files(
            build, self.calls, self.values, files, self.findings, package=package
        )

    def _given(self) -> dict[str, str]:
        return bake_variables.given(self.calls, self.variable_files)

    def _variables(self, template: Document, build: Document | None, variant: Variant = Variant()) -> dict[str, str]:  # noqa: B008
        given = build and build.value, self.calls, self.variable_files
        return bake_variables.variables(template.value, *given, values=self.values, variant=variant.substitutions)

    def _suite(self, build: Document | None) -> Suite | None:
        """Return the tests, with the cluster of ``test/rcc.auto.tfvars``, or of the files that the build names."""
        shape = None
        suite_file, tfvars_file = (
            named_files.named_file(build, self.values, self.paths, option) for option, _ in named_files.OPTIONS
        )
        if tfvars_file in self.paths:
            given = self._read(tfvars_file, tfvars.parse_tfvars)
            shape = cluster.from_tfvars(given) if given is not None else None
            if given is not None and shape is not None:
                cluster.check_machines(given, (), shape, given.value)
        self.tests = self._read(suite_file, yaml.parse_yaml)
        if self.tests is None:
            return None
        jobs = fluidrun.jobs(self.tests, self._exists)
        return Suite(jobs, shape or ClusterShape(), fluidrun.upgrade(self.tests))

    def _exists(self, path: str) -> bool:
        """Whether a workspace path is a file or a folder that holds one; true while it is unknown where paths begin."""
        return not self.usable or self.workspace.exists(path)

    def _partitions(self, suite: Suite | None, variants: Iterable[Variant]) -> None:
        """Check that the clusters have the partitions and nodes that jobs ask for."""
        if suite is None or self.tests is None:
            return
        cluster.check_jobs(self.tests, [variant.cluster or suite.cluster for variant in variants])

    def _templates(
        self,
        hcl2: Hcl2Template | None,
        template: Document,
        build: Document | None,
        variants: tuple[Variant, ...],
        suite: Suite | None,
    ) -> tuple[Variant, ...]:
        """Return the variants with their own templates, if they have some, and check the files that these name."""

        def values_of(one: Variant, declarations: Document) -> dict[str, str]:
            return self._variables(declarations, build, one) if one.substitutions else dict(self.variables)

        if hcl2:
            variants, values = hcl2.variants(variants, template, values_of)
        else:
            values = [values_of(one, template) for one in variants]
        own = [replace(template, value=one.template) if one.template else template for one in variants]
        self._files([*zip(own, values, strict=True), *(hcl2.others if hcl2 else ())], suite)
        return variants

    def _given_right(self, template: Document, build: Document | None, variants: Iterable[Variant]) -> bool:
        """Check that the build passes what the template declares; whether it passes all that the template needs."""
        if build is not None:
            used = settable(template.value, declared(template.value), self.calls.variables, {})
            named = (text for _, text in packer_template.named(template) if isinstance(text, str))
            call_options.check(template, build, self.calls, self.values, package=self.name, variants=variants)
            staged = self.workspace.package_path, self.workspace.common_path
            for path in build_files(build.value, self.calls, self.values, *staged):
                self.workspace.exists(path)  # a file of another package is staged, and counts
            cloud_build.check_folders(build, self.calls, (fill(text, self.variables) for text in named))
            cloud_build.check_arguments(build, self.calls.variables, used, fatal="hcl2" in template.value)
        return packer_template.check_required(template, self._given())

    def _files(self, made: Iterable[tuple[Document, Mapping[str, str]]], suite: Suite | None) -> None:
        """Check the files that templates name, each with the values of its variables."""
        checked: list[tuple[Json, Mapping[str, str]]] = []
        folder = self.workspace.package_path
        for template, variables in made:
            if (template.value, variables) not in checked:
                checked.append((template.value, variables))
                plugin_options.check(template)
                bake_values.check_functions(template)
                packer_template.check_files(template, variables, self._exists, folder)
                self.workspace.take_folders(read_by_tools(template, variables, folder))
                scripts = line_ends.run_as_they_are(template.value, variables, suite)
                line_ends.check(scripts, folder, self.contents, self.findings)
