"""The keys of ``packer.json``, which Packer reads in any case: at the root, and options of plugins.

Source: Packer's reference of JSON templates. The table of tests drives the real Packer with them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bakery.recipe.parse import Document, Where

_KEYS = """
builders comments description min_packer_version post-processors provisioners push variables sensitive-variables
error-cleanup-provisioner
"""
ROOT = frozenset(_KEYS.split())
_CLEANUP = "error-cleanup-provisioner"
_PACKERS = "type name only except override pause_before max_retries timeout keep_input_artifact"
_EXACT = frozenset(_PACKERS.split())  # of entries; not the plugins'


def lower_case(template: Document) -> Document:
    """Return the template with the keys in lower case that Packer reads in any: at the root, and options of plugins."""
    renamed: dict[Where, str] = {}  # the key in the file, by the place of the one in lower case
    value = _lowered(template.value, (), ROOT.__contains__, renamed)
    for key in ("builders", "provisioners", "post-processors"):
        if isinstance(entries := value.get(key), list):
            value[key] = [_entry_in_lower_case(entry, (key, at), renamed) for at, entry in enumerate(entries)]
    if _CLEANUP in value:
        value[_CLEANUP] = _entry_in_lower_case(value[_CLEANUP], (_CLEANUP,), renamed)
    if not renamed:
        return template

    def origin(where: Where) -> Where:
        return tuple(renamed.get(where[: number + 1], key) for number, key in enumerate(where))

    return replace(template, value=value, find_line=lambda where: template.find_line(origin(where)))


def _entry_in_lower_case(entry: Any, where: Where, renamed: dict[Where, str]) -> Any:
    """Return a builder, a provisioner, or a post-processor or a list of these; ``override`` has options, too."""
    if isinstance(entry, list):
        return [_entry_in_lower_case(one, (*where, at), renamed) for at, one in enumerate(entry)]
    if not isinstance(entry, dict):
        return entry
    made = _lowered(entry, where, _is_option, renamed)
    if isinstance(overrides := made.get("override"), dict):
        made["override"] = {
            name: _entry_in_lower_case(own, (*where, "override", name), renamed) for name, own in overrides.items()
        }
    return made


def _is_option(key: str) -> bool:
    """Whether a plugin reads the option; those that Packer reads itself are only known as they are written."""
    return key not in _EXACT and not key.startswith("_")


def _lowered(
    options: Mapping[str, Any], where: Where, known: Callable[[str], bool], renamed: dict[Where, str]
) -> dict[str, Any]:
    """Return the options with lower-case keys, as far as they are ``known`` and there is no such key beside them."""
    made = {}
    for key, value in options.items():
        lower = key.lower()
        if lower == key or lower in options or lower in made or not known(lower):
            made[key] = value
        else:
            made[lower] = value
            renamed[(*where, lower)] = key
    return made
