"""The recipe as frozen values: what :mod:`bakery.recipe.load` reads and :mod:`bakery.plan` works on."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bakery.errors import Problem
from bakery.recipe.machine_kinds import NicType, Provisioning
from bakery.settings.cluster import Profile
from bakery.settings.site_files import SitePart, present

Json = Any  # a value as json.loads gives it; frozen by convention, never written to


@dataclass(frozen=True, order=True)
class SourceFile:
    """A file of a package or of ``common/``.

    ``path`` is the POSIX path in the workspace that bakes and tests see (``packages/hpcc/install.sh``), ``source`` the
    file on this machine, ``mode`` its permission bits as git keeps them (0o644 or 0o755), ``sha256`` of the content in
    hex.
    """

    path: str
    mode: int
    sha256: str
    source: Path | str = field(compare=False)  # a string when it is read: a thousand recipes have many files


@dataclass(frozen=True)
class Metric:
    """A figure in a job's output.

    ``pattern`` is a regular expression, its first group the figure; the last match counts. ``lower`` and ``upper``
    are fractions of the reference: -0.1 is 10 % below; if the reference is zero they are values, as in ReFrame since
    4.8. A metric without reference is only recorded.
    """

    name: str
    pattern: str
    unit: str
    file: str = "stdout"
    reference: float | None = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class SuiteJob:
    """One entry of ``tests:`` in ``fluidrun.yaml``; the first five fields are rcc-run's, the rest extensions."""

    command_group: str
    execution_command: str
    output_directory: str
    partition: str | None = None
    batch_options: str = ""
    time_limit: int | None = None  # seconds
    attempts: int = 1
    metrics: tuple[Metric, ...] = ()


@dataclass(frozen=True)
class Partition:
    """A Slurm partition of the test cluster; ``cpus`` and ``memory_mb`` count for one node.

    The Google fields up to ``preemptible`` come from an rcc-tf tfvars file and mean what they mean there. Of the
    others, ``nic_type`` may be that of the additional interfaces in ``rdma_network``, which is a name in the setting
    ``google.rdmaNetworks``; ``threads_per_core`` is 0 for what the machine type has; ``disk_type`` is the boot disk's.
    """

    name: str
    nodes: int = 2
    cpus: int = 1
    memory_mb: int = 768
    machine_type: str = ""
    zone: str = ""
    disk_size_gb: int = 0
    gpu_type: str = ""
    gpu_count: int = 0
    gvnic: bool = False
    compact_placement: bool = False
    preemptible: bool = False
    nic_type: NicType | None = None
    rdma_network: str = ""
    threads_per_core: int = 0
    reservation: str = ""
    provisioning: Provisioning | None = None
    disk_type: str = ""

    @property
    def provided(self) -> Provisioning:
        """How its nodes are provided, whichever field says so."""
        return self.provisioning or (Provisioning.SPOT if self.preemptible else Provisioning.STANDARD)


@dataclass(frozen=True)
class ClusterShape:
    """The ephemeral Slurm cluster a recipe is tested on: one controller, login nodes, partitions.

    Without a ``profile`` it has that of the stack; in an order the simple one. The last fields are paths of the site's
    files: in a recipe below the package's folder, in an order below the workspace.
    """

    partitions: tuple[Partition, ...] = (Partition("debug"),)
    login_nodes: int = 1
    controller_cpus: int = 1
    controller_memory_mb: int = 768
    controller_machine_type: str = ""
    login_machine_type: str = ""
    controller_disk_size_gb: int = 0
    controller_disk_type: str = ""
    profile: Profile | None = None
    slurm_conf: str = ""
    job_submit: str = ""
    prolog: str = ""
    epilog: str = ""

    @property
    def site(self) -> dict[SitePart, str]:
        """The paths of the site's files, by what they are for."""
        return present(self.slurm_conf, self.job_submit, self.prolog, self.epilog)


@dataclass(frozen=True)
class Suite:
    """The Fluid-Run of a recipe: ``jobs`` in file order, and the cluster they want.

    With ``upgrade`` a cluster of the family's present image has to take the new one node by node, too. ``tier`` is set
    if the jobs have the sizes that the recipe gives them for this tier.
    """

    jobs: tuple[SuiteJob, ...]
    cluster: ClusterShape = ClusterShape()
    upgrade: bool = False
    tier: str = ""


@dataclass(frozen=True)
class Variant:
    """One point of a recipe's matrix. ``name`` is empty for a recipe without matrix.

    ``substitutions`` override those of ``cloudbuild.yaml``; ``cluster`` and ``references`` (by a job's output directory
    and metric name) those of the suite; ``tiers`` are sizes of jobs, see :mod:`bakery.recipe.tiers`. ``template`` is
    its own if the variables of an HCL2 template shape it.
    """

    name: str = ""
    substitutions: Mapping[str, str] = field(default_factory=dict)
    cluster: ClusterShape | None = None
    references: Mapping[str, Json] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    template: Json = None
    tiers: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)


@dataclass(frozen=True)
class PackerCall:
    """One call of ``packer build``. The texts are not filled in; ``$$`` begins a variable of the shell.

    ``argument`` is the template as the call names it, ``folder`` where Packer runs, ``environment`` what ``env`` sets,
    ``secrets`` the names that ``secretEnv`` sets. Unless the call is ``exact``, a shell may compute what is passed;
    ``unknown`` are the variables whose values only the shell knows. ``refused`` are the options that Packer does not
    know, from 1.6 to 1.15. ``step`` is the index of its step.
    """

    argument: str = ""
    folder: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    refused: tuple[str, ...] = ()
    exact: bool = True
    step: int = 0

    @property
    def template(self) -> str:
        """The path of the template from the workspace; "" if the call names none."""
        return posixpath.join(self.folder, self.argument) if self.argument else ""

    def bakes(self, builder: str) -> bool:
        """Whether ``-only`` and ``-except`` leave this builder of a JSON template."""
        return (not self.only or builder in self.only) and builder not in self.exclude


@dataclass(frozen=True)
class BuildCalls:
    """What a build says of one package: its ``calls``, and the steps that count as a whole, by index, and why."""

    calls: tuple[PackerCall, ...] = ()
    whole: Mapping[int, str] = field(default_factory=dict)
    others: frozenset[int] = frozenset()  # steps that only build other packages' templates

    def bakes(self, builder: str) -> bool:
        """Whether a call bakes this builder of a JSON template."""
        return any(call.bakes(builder) for call in self.calls)

    def of(self, builder: str) -> "BuildCalls":
        """Return what the build says of one builder of a JSON template: without calls for others, if any is for it."""
        own = tuple(call for call in self.calls if call.bakes(builder))
        return replace(self, calls=own) if 0 < len(own) < len(self.calls) else self

    @cached_property
    def variables(self) -> dict[str, str]:
        """Variable to unfilled value of all calls; that of the last one counts."""
        return {name: text for call in self.calls for name, text in call.variables.items()}

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The variable files of all calls."""
        return tuple(dict.fromkeys(path for call in self.calls for path in call.files))

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment of the calls, unfilled."""
        return {name: text for call in self.calls for name, text in call.environment.items()}

    @cached_property
    def secrets(self) -> frozenset[str]:
        """The names in the environment whose values Cloud Build takes from Secret Manager."""
        return frozenset(name for call in self.calls for name in call.secrets)


@dataclass(frozen=True, kw_only=True)
class CheckedPackage:
    """The result of the checks of one package. One that is not ``usable`` has no recipe, only problems.

    ``template`` is ``packer.json``, or what an HCL2 template says in the same form; ``build`` is ``cloudbuild.yaml``
    (empty if there is none); ``substitutions`` its defaults as strings; ``timeout`` in seconds; ``variable_files`` the
    values of the files that ``-var-file`` names, by path in the workspace. ``family_at`` and ``base_at`` say where its
    family and its base's are set, as file and line; the plan's problems point there. ``isolation`` is where the image
    has to be baked, if the recipe says so; ``layers`` whether its steps may be kept for the next bake; ``secrets`` what
    the bake is given, see :mod:`bakery.recipe.secrets`; ``licence_servers`` has the place of each that has to answer
    before it; ``names_builder`` whether a script may read the name of the builder. ``others`` are the paths of files
    and folders outside of the package that it names, by workspace path; they are below the folder of all packages, and
    may not exist. ``calls`` is what ``build`` says, unless the package comes from the cache.
    Files are relative to the package's folder here, and as the user knows them in a recipe.
    """

    usable: bool = True
    workspace_path: str
    common_path: str = "common"
    template: Json
    build: Json
    substitutions: Mapping[str, str]
    timeout: int
    variable_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    variants: tuple[Variant, ...] = (Variant(),)
    suite: Suite | None = None
    owners: tuple[str, ...] = ()
    description: str = ""
    isolation: str = ""
    layers: bool = True
    names_builder: bool = False
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    licence_servers: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    family_at: tuple[str, int] = ("", 1)
    base_at: tuple[str, int] = ("", 1)
    problems: tuple[Problem, ...] = ()
    calls: BuildCalls | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Recipe(CheckedPackage):
    """One package, checked, with its files.

    ``files`` are all of the folder, ``common`` those of ``common/``, ``other_files`` those at ``others``; ``shown`` is
    the folder as the user knows it.
    ``digest`` is a SHA-256 of all that was read: the same digest means the same recipe, in whatever folder.
    """

    name: str
    folder: Path
    files: tuple[SourceFile, ...]
    common: tuple[SourceFile, ...]
    other_files: tuple[SourceFile, ...] = ()
    shown: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Recipes:
    """All recipes of a tree, sorted by name, and all their problems.

    ``broken`` are the families of packages with errors: an image that is baked from one is not a mistake. ``folder``
    is that of the packages as the user knows it.
    """

    recipes: tuple[Recipe, ...] = ()
    problems: tuple[Problem, ...] = ()
    broken: frozenset[str] = frozenset()
    folder: str = "packages"
