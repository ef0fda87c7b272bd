"""Who owns a family: the people whose approval of an image counts.

These are the addresses that ``owners`` of ``recipe.yaml`` names or, without any there, those of the package's folder in
the file CODEOWNERS. Names of teams, ``@names`` and groups cannot be compared with the account of who approves, so they
are left out; a family without any address has no known owner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from bakery.errors import InputError
from bakery.host.revision import repository
from bakery.plan.summary import ImageSummary
from bakery.recipe.folders import has_template
from bakery.settings import Settings

# Where GitHub and GitLab look for it, https://docs.github.com/articles/about-code-owners and
# https://docs.gitlab.com/user/project/codeowners/
FILES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
_ADDRESS = re.compile(r"(?:(?:user|serviceAccount):)?([^@\s:]+@[^@\s:]+)")
_SECTION = re.compile(r"\^?\[[^]]+\](?:\[\d+\])?(.*)")
_WORDS = re.compile(r"(?<!\\)\s+")


def owners_of(settings: Settings, image: ImageSummary) -> tuple[str, ...]:
    """Return the addresses of the owners of the image's family, in lower case; none if they are not known.

    An image that is taken from another stack has no recipe here, but its package may be in the checkout.
    """
    owners = _recipe_owners(settings, image.package, image.variant) if image.taken else image.owners
    return addresses(owners) or addresses(_code_owners(settings, image.package))


def _recipe_owners(settings: Settings, package: str, variant: str) -> tuple[str, ...]:
    """Return the owners that the ``recipe.yaml`` of a package in the checkout names for a variant. Raises InputError.

    Of a variant that its matrix does not have any more, they are those of the whole recipe.
    """
    from bakery.recipe.check import matrix
    from bakery.recipe.parse.findings import Findings  # these are not needed by a stack that bakes
    from bakery.recipe.parse.yaml import parse_yaml

    folder = package_folder(settings, package)
    file = folder / "recipe.yaml" if folder else None
    if file is None or not file.is_file():
        return ()
    findings = Findings(str(file))
    document = parse_yaml(file.read_bytes(), findings)
    if document is None:
        raise InputError(findings.problems)
    if isinstance(document.value, dict) and matrix.valid(document):
        for one in matrix.variants(document, None):
            if one.name == variant:
                return one.owners
    value = document.value
    listed = value.get("owners") if isinstance(value, dict) else ()
    return tuple(map(str, listed)) if isinstance(listed, list) else ()


def addresses(owners: Iterable[str]) -> tuple[str, ...]:
    """Return those of the owners that are addresses, in lower case and without the kind that IAM writes before them."""
    found = (_ADDRESS.fullmatch(owner.strip()) for owner in owners)
    return tuple(dict.fromkeys(match[1].lower() for match in found if match))


def package_folder(settings: Settings, package: str) -> Path | None:
    """Return the folder of one of the stack's own packages; None for a shipped one."""
    top = settings.packages / package
    folders = (top, *sorted(settings.packages.glob(f"*/**/{package}")))
    return next((folder for folder in folders if folder.is_dir() and has_template(str(folder))), None)


def _code_owners(settings: Settings, package: str) -> tuple[str, ...]:
    """Return the owners of a file of the package's folder that no pattern for a kind of files fits.

    They are those of the recipes' own repository or, if it names none, of the project's, which has it as a submodule.
    """
    folder = package_folder(settings, package)
    if folder is None:
        return ()
    tops = (repository(folder), repository(settings.root) or settings.root)
    for top, name in ((top, name) for top in tops if top and folder.is_relative_to(top) for name in FILES):
        with suppress(OSError, UnicodeDecodeError):
            text = (top / name).read_text(encoding="utf-8")
            return file_owners(text, f"{folder.relative_to(top).as_posix()}/recipe")
    return ()


def file_owners(text: str, path: str) -> tuple[str, ...]:
    """Return the owners of a path by the text of CODEOWNERS: of the last pattern that fits, in each section."""
    found: dict[str, tuple[str, ...]] = {}
    section, default = "", ()
    for line in text.splitlines():
        words = _WORDS.split(line.partition("#")[0].strip())
        if head := _SECTION.fullmatch(" ".join(words)):
            section, default = line.strip(), tuple(head[1].split())
        elif words[0] and _pattern(words[0].replace("\\ ", " ")).fullmatch(path):
            found[section] = tuple(words[1:]) or default
    return tuple(owner for owners in found.values() for owner in owners)


def _pattern(text: str) -> re.Pattern[str]:
    """Return what a pattern of CODEOWNERS fits: as in .gitignore, but ``folder/*`` fits only files in that folder."""
    start = "" if "/" in text.rstrip("/") else "(?:.*/)?"
    last = text.rpartition("/")[2]
    end = "/.*" if text.endswith("/") else "" if "/" in text and last == "*" else "(?:/.*)?"
    return re.compile(start + "".join(_parts(text.strip("/"))) + end)


def _parts(text: str) -> Iterator[str]:
    for part in re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", text):
        yield {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
