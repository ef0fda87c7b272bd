"""The site's files that clusters in ``recipe.yaml`` name: that they exist, and what is in them."""

from collections.abc import Iterator, Mapping

from bakery.recipe.model import Json
from bakery.recipe.parse import Document, Where
from bakery.settings.cluster import Profile
from bakery.settings.site_files import SitePart, faults


def check(recipe: Document, contents: Mapping[str, bytes]) -> None:
    """Report all that is wrong with the files of the site; ``contents`` are the small files of the package."""
    for where, cluster in _clusters(recipe.value):
        for part in SitePart:
            path = cluster.get(part)
            if path is None:
                continue
            if cluster.get("profile") == Profile.SIMPLE:
                hint = "remove it, or write profile: production"
                recipe.error(f"{part} has no effect with the profile simple", hint, *where, part)
            elif path not in contents:
                hint = "write the path of a file below the package's folder, of at most 256 KiB"
                recipe.error(f"{part} names {path}, which does not exist", hint, *where, part)
            else:
                for line, message, cure in faults(part, contents[path]):
                    recipe.findings.at(path).error(line, message, cure)


def _clusters(recipe: Json) -> Iterator[tuple[Where, Json]]:
    """Yield the clusters of a recipe, which conforms to the schema, with their places."""
    if "cluster" in recipe:
        yield ("cluster",), recipe["cluster"]
    for index, entry in enumerate((recipe.get("matrix") or {}).get("variants") or []):
        if "cluster" in entry:
            yield ("matrix", "variants", index, "cluster"), entry["cluster"]
