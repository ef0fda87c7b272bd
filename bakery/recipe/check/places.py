"""Where the files of a package set a value that other files may set as well."""

from collections.abc import Mapping

from bakery.recipe.parse import Document

BUILD = "cloudbuild.yaml"


def set_at(
    template: Document, build: Document | None, values: Mapping[str, str], substitution: str, variable: str
) -> tuple[str, int]:
    """Return file and line where a substitution is set, or its variable, or else the key of the builder.

    ``values`` are the substitutions of ``build``, which is ``cloudbuild.yaml``.
    """
    if build is not None and substitution in values:
        return BUILD, build.line("substitutions", substitution)
    is_variable = variable in template.group("variables")
    return template.place(*(("variables",) if is_variable else ("builders", 0)), variable)
