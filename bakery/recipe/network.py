"""Mirrors and proxy in the machine that bakes: set before a recipe's provisioners, removed from the image after them.

Programs get the proxy and the index of PyPI from the environment of the shell provisioners, which no file has. Package
managers read files: their sources name the mirrors during the bake, and get the publishers' addresses back at its end.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from bakery.recipe.model import Json
from bakery.settings import NetworkSettings
from bakery.settings.network import SPACK

SUDOERS = "sudoers.d/zz-bakery-network"
_ROOT = 'root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }'
_APT = ("apt/sources.list", "apt/sources.list.d/*", "apt/mirrors/*")
_DNF = ("yum.repos.d/*.repo",)
_AFTER = "(/|[[:space:]]|$)"  # an address; what continues otherwise is a longer one
_MADE = "#bakery made"
# Where a recipe may have written what it was given. Large files are not searched.
_SEARCHED = "/etc /root /home /opt /srv /usr/local /var/lib"
_LARGEST_KIB = 1024


def provisioners(
    steps: Iterable[Json], network: NetworkSettings, etc: str = "/etc"
) -> tuple[list[Json], list[Json], list[Json]]:
    """Return what runs before a recipe's provisioners, these with the environment, and what runs after them.

    Without mirrors and a proxy they are as they were. ``etc`` is the folder of configuration.
    """
    given = list(steps)
    if not (network.environment or network.mirrors.packages or network.mirrors.spack):
        return [], given, []
    changed = [_with_environment(step, network.environment) for step in given]
    first, last = ({"type": "shell", "inline": [_ROOT, *lines]} for lines in (_begin(network, etc), _end(network, etc)))
    return [first], changed, [last]


def _with_environment(step: Json, environment: Mapping[str, str]) -> Json:
    """Return a provisioner with the variables before its own, which count more."""
    if step.get("type") != "shell" or not environment:
        return step
    own: Any = step.get("environment_vars") or []
    mine = [f"{name}={value}" for name, value in environment.items()]
    return {**step, "environment_vars": [*mine, *(own if isinstance(own, list) else [own])]}


def _begin(network: NetworkSettings, etc: str) -> list[str]:
    lines = []
    if network.environment:
        kept = shlex.quote(f'Defaults env_keep += "{" ".join(network.environment)}"')
        lines += [f"[ ! -d {etc}/sudoers.d ] || echo {kept} | root sh -c 'umask 227; cat >{etc}/{SUDOERS}'"]
    for origin, mirror in _longest_first(network.mirrors.dnf):
        # With a list of mirrors, the address is only a comment.
        of_comment = f"s,^# ?baseurl *= *{_pattern(origin)}(/.*|)$,&\\n{_MADE}\\nbaseurl={mirror}\\1,"
        lines += _changed(etc, _DNF, origin, of_comment, "s,^(mirrorlist|metalink) *=,#bakery &,")
    for origin, mirror in _longest_first(network.mirrors.packages):
        lines += _changed(etc, (*_APT, *_DNF), origin, f"s,{_pattern(origin)}{_AFTER},{mirror}\\1,g")
    return lines


def _end(network: NetworkSettings, etc: str) -> list[str]:
    mirrors = network.mirrors
    lines = [f"root rm -f {etc}/{SUDOERS}"]
    if mirrors.dnf:
        lines += _changed(etc, _DNF, "#bakery ", f"/^{_MADE}$/{{N;d}}", "s,^#bakery ((mirrorlist|metalink) *=),\\1,")
    back = {mirror: origin for origin, mirror in mirrors.packages.items()}
    for mirror, origin in _longest_first(back):
        lines += _changed(etc, (*_APT, *_DNF), mirror, f"s,{_pattern(mirror)}{_AFTER},{origin}\\1,g")
    if mirrors.spack:
        found = "root find / -xdev -path '*/etc/spack/mirrors.yaml'"
        lines += [f"{found} -exec sed -E -i 's,{_pattern(mirrors.spack)},{SPACK},' {{}} +"]
    lines += ["! command -v apt-get >/dev/null || root rm -rf /var/lib/apt/lists/*"] if mirrors.apt else []
    lines += ["! command -v dnf >/dev/null || root dnf --quiet clean all"] if mirrors.dnf else []
    return [*lines, *_searched(network)]


def _searched(network: NetworkSettings) -> list[str]:
    """Return the lines that clear logs with an address of a mirror or the proxy, and fail if another file has one.

    Spack keeps the environment and the output of each build beside what it installed, compressed or not.
    """
    addresses = sorted({one.partition("://")[2] for one in (*network.mirrors.addresses, network.proxy)} - {""})
    if not addresses:
        return []
    words = " ".join(f"-e {shlex.quote(one)}" for one in addresses)
    message = "bakery: these files of the image have the address of a mirror or the proxy; remove it in the recipe:"
    return [
        f"root find /var/log -type f -exec grep -qaF {words} {{}} \\; -exec truncate --size 0 {{}} \\;",
        f"root find {_SEARCHED} -xdev -type f -path '*/.spack/spack-build-*' -exec zgrep -qF {words} {{}} \\; -delete",
        f"left=$(root find {_SEARCHED} -xdev -type f -size -{_LARGEST_KIB}k -exec grep -lIF {words} {{}} + || true)",
        f'[ -z "$left" ] || {{ echo "{message}" $left >&2; exit 1; }}',
    ]


def _changed(etc: str, files: Iterable[str], contained: str, *expressions: str) -> list[str]:
    """Return the lines that change, with sed, those of the files that contain a text."""
    options = " ".join(f"-e {shlex.quote(one)}" for one in expressions)
    change = f"root sed -E -i {options}"
    return [
        f"for file in {' '.join(f'{etc}/{file}' for file in files)}; do "
        f'if [ -f "$file" ] && grep -qF {shlex.quote(contained)} "$file"; then {change} "$file"; fi; done'
    ]


def _pattern(address: str) -> str:
    """Return an address as an extended regular expression."""
    return re.sub(r"[.$+\[\]]", r"\\\g<0>", address)


def _longest_first(pairs: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(pairs.items(), key=lambda pair: -len(pair[0]))
