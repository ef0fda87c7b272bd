"""The site's files that clusters in ``recipe.yaml`` name: that they exist, and what is in them."""

from collections.abc import Mapping

from bakery.recipe.check.places import in_recipe
from bakery.recipe.parse import Document
from bakery.settings.cluster import Profile
from bakery.settings.site_files import SitePart, faults


def check(recipe: Document, contents: Mapping[str, bytes]) -> None:
    """Report all that is wrong with the files of the site; ``contents`` are the small files of the package."""
    for where, cluster in in_recipe(recipe.value, "cluster"):
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
