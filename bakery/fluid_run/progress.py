"""The progress of a Fluid-Run in words."""

from bakery.fluid_run.base import AgentStatus
from bakery.results.model import Stage


def phase(status: AgentStatus) -> str:
    """Return the text that is shown while a run has this status."""
    if status.stage is Stage.START:
        if not status.nodes_total:
            return "testing: machines are booting"
        return f"testing: {status.nodes_ready} of {status.nodes_total} nodes are ready"
    if status.stage in (Stage.SUBMIT, Stage.RUN):
        return f"testing: {status.jobs_done} of {status.jobs_total} jobs done"
    return "testing: collecting results"
