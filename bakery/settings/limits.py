"""How much of the machines one `up` or command may use."""

from typing import NamedTuple

from bakery.settings.reader import Reader


class LimitSettings(NamedTuple):
    """What bakes and tests of one run may use, 0 without a limit: machines, and the seconds of all of them together."""

    machine_seconds: int = 0
    machines: int = 0


def read(reader: Reader) -> LimitSettings:
    """Return the settings of the group ``limits``."""
    return LimitSettings(reader.count("machineSeconds", 0), reader.count("machines", 0))
