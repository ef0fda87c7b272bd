"""Files that the steps of ``cloudbuild.yaml`` name: those with Packer's variables, and those of the tests.

Sources: Packer's ``-var-file``; the options of rcc-run.
"""

import posixpath
import re
from collections.abc import Collection, Iterable, Mapping

from bakery.errors import Severity
from bakery.recipe.check import cloud_build, packer_template
from bakery.recipe.model import BuildCalls
from bakery.recipe.parse import Document, Findings, quoted
from bakery.recipe.substitutions import SUBSTITUTION, substitute

SUITE, TFVARS = "fluidrun.yaml", "test/rcc.auto.tfvars"
OPTIONS = (("ci-file", SUITE), ("rcc-tfvars", TFVARS))  # of a test step, and the files that are read without it


def check_suites(build: Document, values: Mapping[str, str], paths: Collection[str], *, needed: bool) -> None:
    """Report files of tests that a step names and that are not there.

    ``paths`` are the package's files. If the tests are ``needed``, and there are no others, that is an error.
    """
    for option, usual in OPTIONS:
        for where, path in cloud_build.options(build, option):
            filled = posixpath.normpath(substitute(path, values))
            if "$" not in filled and not _matching(filled, paths):
                hint = f"write {usual}, which the bakery reads" if usual in paths else f"add {usual}"
                severity = Severity.ERROR if needed and SUITE not in paths else Severity.WARNING
                build.note(severity, f"{quoted(filled)} does not exist", hint, *where)


def named_file(build: Document | None, values: Mapping[str, str], paths: Collection[str], option: str) -> str:
    """Return the file of the package that a test step names with an option, or the usual one if there is none."""
    named = cloud_build.options(build, option) if build is not None else ()
    found = (_matching(posixpath.normpath(substitute(path, values)), paths) for _, path in named)
    return next(filter(None, found), dict(OPTIONS)[option])


def _matching(path: str, paths: Iterable[str]) -> str:
    """Return the file that a path in the workspace means: the longest that it ends with, else one of the same name."""
    same = [one for one in sorted(paths) if posixpath.basename(one) == posixpath.basename(path)]
    ends = [one for one in same if f"/{path}".endswith(f"/{one}")]
    return max(ends, key=len) if ends else next(iter(same), "")


def variable_files(
    build: Document | None,
    calls: BuildCalls,
    values: Mapping[str, str],
    contents: Mapping[str, bytes],
    findings: Findings,
    *,
    package: str,
) -> dict[str, Mapping[str, str]]:
    """Return the values of the files that ``-var-file`` names, by path in the workspace, for every variant.

    ``contents`` are the small files of the workspace, where the package is staged at ``package``.
    """
    read: dict[str, Mapping[str, str]] = {}
    for text in calls.files:
        usual = posixpath.normpath(substitute(text, values))
        if usual not in contents and build is not None:
            hint = "put it into the package, or fix the path; paths start at the workspace"
            where = cloud_build.find(build, ("steps",), re.escape(text))
            build.error(f"-var-file {quoted(usual)} does not exist", hint, *where)
        parts = re.split(r"\0", SUBSTITUTION.sub("\0", text))
        pattern = re.compile("(\\./)?" + ".*".join(map(re.escape, parts)))
        for path in sorted(contents):
            if path == usual or pattern.fullmatch(path):
                found = packer_template.variable_file(contents[path], findings.at(posixpath.relpath(path, package)))
                read |= {} if found is None else {path: found}
    return read
