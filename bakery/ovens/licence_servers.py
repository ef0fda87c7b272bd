"""Asks the licence servers of a bake from this computer, before anything of it starts."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bakery.errors import InfrastructureFailed, Problem
from bakery.progress.activity import Activity
from bakery.recipe.licence_servers import HINT, SECONDS, Places, addresses, message, needed


def check(servers: Places, activity: Activity) -> None:
    """Connect with each server, and close the connection again; takes at most ten seconds and the look-ups of names.

    Raises InfrastructureFailed with the place of all that do not answer.
    """
    if not servers:
        return
    activity.say("asking the licence servers")
    with ThreadPoolExecutor(len(servers)) as pool:
        problems = [problem for found in pool.map(_problems, servers.items()) for problem in found]
    if problems:
        raise InfrastructureFailed("\n".join(map(str, problems)))


def _problems(entry: tuple[str, str]) -> Iterator[Problem]:
    server, place = entry
    found = addresses(server)
    faults = [fault for one in found if (fault := _fault(*one))]
    if len(found) - len(faults) < needed(len(found)):
        file, _, line = place.rpartition(":")
        yield Problem(file, int(line), f"{message(server)} ({', '.join(dict.fromkeys(faults))})", HINT)


def _fault(host: str, port: int) -> str:
    try:
        socket.create_connection((host, port), SECONDS).close()
    except TimeoutError:
        return f"no answer within {SECONDS} s"
    except OSError as error:
        return error.strerror or str(error)
    return ""
