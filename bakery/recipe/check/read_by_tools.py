"""Paths in a template where the bakery does not know what is read: of tools, and of expressions left to Packer."""

import posixpath
import re
from collections.abc import Mapping

from bakery.recipe.build_files import paths_in
from bakery.recipe.expressions import fill
from bakery.recipe.parse import Document
from bakery.recipe.parse.document import texts
from bakery.recipe.provisioners import takes_package, template_functions
from bakery.recipe.templating import NOT_FOLLOWED

_ROOT_OF_HCL = re.compile(r"\$\{\s*path\.root\s*\}|\bpath\.root\b")


def read_by_tools(template: Document, variables: Mapping[str, str], folder: str) -> set[str]:
    """Return the paths that provisioners name which may read any file, and HCL2's expressions that are left to Packer.

    In both they may be words of a longer text.
    """
    entries = [entry for _, entry in template.entries("provisioners", "provisioners") if takes_package(entry)]
    named_texts = [fill(text, variables, template_functions(folder)) for text in texts(entries)]
    if any(NOT_FOLLOWED in text for text in template.texts):
        extras = template.value["hcl2"]
        left = [text for text in texts([template.value, extras.get("locals"), extras.get("data")]) if "." in text]
        named_texts += [_ROOT_OF_HCL.sub(folder, fill(text, variables, template_functions(folder))) for text in left]
    words = {word for text in named_texts for word in (text, *paths_in(text))}
    words |= {posixpath.join(folder, word) for word in words}  # where paths of functions begin
    return {posixpath.normpath(word) for word in words if word}
