"""The secrets of ``recipe.yaml``: what a bake is given, and no image, log or state ever has.

A bake finds each as a file of root in :data:`FOLDER` of its machine, which is memory. Of a secret only its version
counts in the digest: the user names it, or Secret Manager counts it. The last provisioner of a bake searches the disks
of the machine for the values, and fails the bake if a file has one.
"""

import re
import shlex
from collections.abc import Mapping

from bakery.recipe.model import Json

FOLDER = "/run/bakery-secrets"
SECRET_MANAGER, FILE, ENVIRONMENT, VERSION = "secretManager", "file", "environment", "version"
Secrets = Mapping[str, Mapping[str, str]]  # name to version and sources

_ROOT = 'root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }'
_ARRIVAL = "/dev/shm/bakery-secrets"  # memory, too; where the user of the bake can write
_MEMORY = '[ "$(stat -f -c %T {0})" = tmpfs ] || {{ echo "bakery: {0} is not in memory" >&2; exit 1; }}'
_BEFORE = (_MEMORY.format("/dev/shm"), "umask 077", f"rm -rf {_ARRIVAL}", f"mkdir {_ARRIVAL}")
_AFTER = (
    _MEMORY.format("/run"),
    _ROOT,
    f"root mkdir -p -m 700 {FOLDER}",
    f"root install -o root -g root -m 400 {_ARRIVAL}/* {FOLDER}/",
    f"rm -rf {_ARRIVAL}",
    f"root touch -d '1 day ago' {FOLDER}/.since",  # a clock that is set back during the bake hides no file
)
# As hidden in logs, a secret is its lines of at least eight bytes, without the armour of keys, which programs contain.
# What has not changed since the secrets came does not have them; the time of a change can't be set by a program.
_SEARCH = """set -eu
umask 077
export LC_ALL=C
cd "$1"
for name in *; do
  tr '\\0' '\\n' <"$name" | sed 's/^[[:space:]]*//; s/[[:space:]]*$//' | grep -a '........' |
    grep -av '^-----' >".lines-$name" ||
    echo "bakery: no line of the secret $name has 8 bytes: the image is not searched for it"
done
cat .lines-* >.lines
mounts=$3
set -- "$2"
while read -r _ at kind _; do
  case $kind:$at in
    *:/dev/* | *:/proc/* | *:/run/* | *:/sys/*) ;;
    btrfs:* | ext[234]:* | f2fs:* | vfat:* | xfs:*) set -- "$@" "$at" ;;
  esac
done <"$mounts"
find "$@" -xdev -type f -cnewer .since -exec grep -slaF -f .lines {} + | sort -u | head -n 10 >.found || true
while IFS= read -r file; do
  for name in *; do
    ! grep -qsaF -f ".lines-$name" "$file" || echo "bakery: $file has the value of the secret $name" >&2
  done
done <.found
rm .lines .lines-*
[ ! -s .found ]"""
_REPORTED = re.compile(r"bakery: (\S.* has the value of the secret [a-z0-9_-]+)")


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


def search(folder: str = FOLDER, top: str = "/", mounts: str = "/proc/mounts") -> list[Json]:
    """Return the provisioner that ends a bake with secrets: it fails if a file of the machine's disks has one.

    The machine has the secrets in ``folder``, its root is ``top``, and ``mounts`` lists its other file systems.
    """
    return [{"type": "shell", "inline": [_ROOT, f"root sh -c {shlex.quote(_SEARCH)} search {folder} {top} {mounts}"]}]


def left(output: str) -> str:
    """Return which files :func:`search` found, from the output of a bake, as a message; "" if it found none."""
    found = [*dict.fromkeys(_REPORTED.findall(output))]
    return f"{'; '.join(found)}; let the recipe delete it, or read it only during the bake" if found else ""


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
