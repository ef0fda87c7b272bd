"""Where a package sets a value that several of its files, or several entries of ``recipe.yaml``, may set."""

from collections.abc import Iterator, Mapping

from bakery.recipe.model import Json
from bakery.recipe.parse import Document, Where

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


def in_recipe(recipe: Json, key: str) -> Iterator[tuple[Where, Json]]:
    """Yield the places and values of a key that ``recipe.yaml`` has for all images, and for variants of its matrix."""
    if key in recipe:
        yield (key,), recipe[key]
    for index, entry in enumerate((recipe.get("matrix") or {}).get("variants") or []):
        if key in entry:
            yield ("matrix", "variants", index, key), entry[key]
