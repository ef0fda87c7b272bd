"""The addresses that a stack fetches from: JSON (``schemas/addresses.schema.json``), and a table."""

from collections.abc import Sequence
from typing import Any

from bakery.codec import encode
from bakery.errors import printable
from bakery.plan.address import Address
from bakery.report import text_table

VERSION = 1
TITLES = ("kind", "version", "checksum", "address", "used by")
SHOWN = 19  # characters of a checksum: its kind, and twelve of it
USERS_SHOWN = 2


def to_json(stack: str, addresses: Sequence[Address]) -> dict[str, Any]:
    """Return the addresses as a JSON object."""
    return {"version": VERSION, "stack": stack, "addresses": [encode(one) for one in addresses]}


def render(addresses: Sequence[Address]) -> str:
    """Return a line for each address, at its mirror if it has one; "-" stands for what is not known."""
    rows = [("", [printable(cell) or "-" for cell in _cells(one)]) for one in addresses]
    return "".join(f"{line}\n" for line in text_table.lines(TITLES, rows))


def _cells(one: Address) -> tuple[str, ...]:
    sums, users = one.checksums, one.used_by
    more = f" and {len(sums) - 1} more" if len(sums) > 1 else ""
    others = f" and {len(users) - USERS_SHOWN} more" if len(users) > USERS_SHOWN else ""
    shown = ", ".join(users[:USERS_SHOWN]) + others
    return one.kind, one.version, sums[0][:SHOWN] + more if sums else "", one.mirror or one.url, shown
