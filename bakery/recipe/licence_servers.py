"""The licence servers of ``recipe.yaml``: what has to answer before a bake begins, and no digest contains.

Each is written as FlexLM's clients know it, ``port@host``; three servers that stand for each other are one entry, with
commas, and two of them have to answer. Source: "License Administration Guide" of FlexNet Publisher.
"""

import re
import shlex
from collections.abc import Mapping

from bakery.recipe.model import Json

SECONDS = 10  # to answer
HINT = "start it, open the way to it, or correct licenceServers"
_SERVER = re.compile(r"([1-9]\d{0,4})@([A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)")
_REPORTED = re.compile(r"\S+:\d+: error: the licence server .*")
Places = Mapping[str, str]  # server to file:line


def addresses(server: str) -> list[tuple[str, int]]:
    """Return host and port of an entry's servers; none if it is not written as it should be."""
    found = [_SERVER.fullmatch(one) for one in server.split(",")]
    right = [(match[2], int(match[1])) for match in found if match and int(match[1]) < 1 << 16]
    return right if len(right) == len(found) and len(found) in (1, 3) else []


def needed(servers: int) -> int:
    """Return how many of the servers of an entry have to answer: more than half."""
    return servers // 2 + 1


def message(server: str) -> str:
    """Return what is wrong with one that does not answer."""
    return f"the licence server {server} does not answer"


def reported(log: str) -> list[str]:
    """Return what :func:`provisioners` found, from the log of a bake."""
    return [*dict.fromkeys(_REPORTED.findall(log))]


def provisioners(servers: Places) -> list[Json]:
    """Return the provisioner that asks them from the machine that bakes, and fails it; none without servers.

    The reasons of those that do not answer are bash's own, one line above each error.
    """
    if not servers:
        return []
    lines = ["left=0", f'answers() {{ timeout {SECONDS} bash -c "exec 3<>/dev/tcp/$1/$2"; }}']
    for server, place in servers.items():
        found = addresses(server)
        asked = [f"answers {shlex.quote(host)} {port} && up=$((up + 1))" for host, port in found]
        said = shlex.quote(f"{place}: error: {message(server)}; {HINT}")
        lines += ["up=0", *asked, f'[ "$up" -ge {needed(len(found))} ] || {{ echo {said} >&2; left=1; }}']
    return [{"type": "shell", "inline": [*lines, '[ "$left" = 0 ]']}]
