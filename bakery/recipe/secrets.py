"""The secrets of ``recipe.yaml``: what a bake is given, and no image, log or state ever has.

A bake finds each as a file of root in :data:`FOLDER` of its machine, which is memory. Of a secret only its version
counts in the digest: the user names it, or Secret Manager counts it.
"""

from collections.abc import Mapping

from bakery.recipe.model import Json

FOLDER = "/run/bakery-secrets"
SECRET_MANAGER, FILE, ENVIRONMENT, VERSION = "secretManager", "file", "environment", "version"
Secrets = Mapping[str, Mapping[str, str]]  # name to version and sources

_ARRIVAL = "/dev/shm/bakery-secrets"  # memory, too; where the user of the bake can write
_MEMORY = '[ "$(stat -f -c %T {0})" = tmpfs ] || {{ echo "bakery: {0} is not in memory" >&2; exit 1; }}'
_BEFORE = (_MEMORY.format("/dev/shm"), "umask 077", f"rm -rf {_ARRIVAL}", f"mkdir {_ARRIVAL}")
_AFTER = (
    _MEMORY.format("/run"),
    'root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }',
    f"root mkdir -p -m 700 {FOLDER}",
    f"root install -o root -g root -m 400 {_ARRIVAL}/* {FOLDER}/",
    f"rm -rf {_ARRIVAL}",
)


def secrets_of(recipe: Json) -> dict[str, dict[str, str]]:
    """Return the secrets of a ``recipe.yaml``, all values as text; none if it has not the form of the schema."""
    given = recipe.get("secrets")
    entries = given.items() if isinstance(given, dict) else ()
    return {
        str(name): {key: str(value) for key, value in one.items()} for name, one in entries if isinstance(one, dict)
    }


def versions(secrets: Secrets) -> dict[str, str]:
    """Return what counts of each secret."""
    return {name: one.get(VERSION, "") for name, one in secrets.items()}


def provisioners(sources: Mapping[str, Mapping[str, Json]]) -> list[Json]:
    """Return the provisioners that bring secrets into the machine, before all others; none without secrets.

    ``sources`` maps the name of each to the option of Packer's ``file`` that says where it is: ``source``, ``content``.
    """
    if not sources:
        return []
    files = [
        {"type": "file", **source, "destination": f"{_ARRIVAL}/{name}"} for name, source in sorted(sources.items())
    ]
    return [{"type": "shell", "inline": [*_BEFORE]}, *files, {"type": "shell", "inline": [*_AFTER]}]
