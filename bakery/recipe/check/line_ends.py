"""Scripts with CRLF line ends that run as they are.

Packer's provisioner ``shell`` uploads a script with LF, unless it has ``binary`` (provisioner/shell/unix_reader.go of
Packer 1.14). Nothing converts a startup script of Compute Engine, a script of ``shell-local`` or one of a job: the
kernel looks for an interpreter whose name ends with CR, and ``sbatch`` refuses such a script.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from bakery.recipe.expressions import fill
from bakery.recipe.model import Json, Suite
from bakery.recipe.parse import Findings, listed
from bakery.recipe.provisioners import STARTUP
from bakery.recipe.shell import shell_words
from bakery.recipe.templating import in_workspace


def run_as_they_are(template: Json, variables: Mapping[str, str], suite: Suite | None) -> set[str]:
    """Return the paths in the workspace of the scripts that nothing converts."""
    jobs = suite.jobs if suite else ()
    commands = [in_workspace(word) for job in jobs for word in shell_words(job.execution_command)[:1]]
    scripts = [fill(path, variables) for path in _scripts(template) if isinstance(path, str)]
    return {posixpath.normpath(path) for path in (*scripts, *commands)}


def check(scripts: Iterable[str], folder: str, contents: Mapping[str, bytes], findings: Findings) -> None:
    """Warn about those of the scripts that have CRLF and are in the package, which is staged at ``folder``."""
    for path in sorted(scripts):
        name = path.removeprefix(f"{folder}/")
        first, _, _ = contents.get(name, b"").partition(b"\n")
        if first.startswith(b"#!") and first.endswith(b"\r"):
            message = "the line ends with CRLF, and nothing converts this script: the machine finds no such interpreter"
            findings.at(name).warn(1, message, "save the file with LF")


def _scripts(template: Json) -> Iterator[Json]:
    """Yield the paths of scripts that are run without a conversion, as the template has them."""
    for builder in template.get("builders") or ():
        files = builder.get("metadata_files")
        yield from (builder.get("startup_script_file"), files.get(STARTUP) if isinstance(files, dict) else None)
    for entry in template.get("provisioners") or ():
        binary = entry.get("type") == "shell" and str(entry.get("binary")).lower() == "true"
        if binary or entry.get("type") == "shell-local":
            yield from (entry.get("script"), *listed(entry.get("scripts")))
