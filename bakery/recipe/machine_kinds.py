"""Kinds of machines on Compute Engine: of network interfaces, and of how a machine is provided."""

from enum import StrEnum


class NicType(StrEnum):
    """The kind of a network interface on Compute Engine. The last two are of an RDMA network only."""

    GVNIC = "GVNIC"
    IDPF = "IDPF"
    IRDMA = "IRDMA"
    MRDMA = "MRDMA"

    @property
    def rdma(self) -> bool:
        """Whether it belongs to a network with an RDMA profile, beside an interface of another kind."""
        return self in (NicType.IRDMA, NicType.MRDMA)


class Provisioning(StrEnum):
    """How Compute Engine provides a machine: on demand, from spare capacity, or when there is capacity."""

    STANDARD = "standard"
    SPOT = "spot"
    FLEX_START = "flex-start"
