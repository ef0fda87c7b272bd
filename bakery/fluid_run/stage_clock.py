"""The stages of a Fluid-Run and how long each took."""

import time

from bakery.results.model import Stage


class StageClock:
    """The current stage of a run, and the seconds of each stage so far."""

    def __init__(self) -> None:
        self.timings: dict[Stage, float] = {}
        self.stage: Stage | None = None
        self.failed: Stage | None = None
        self._began = 0.0

    def fail(self) -> None:
        """Keep the current stage as the one that failed."""
        self.failed = self.stage

    def enter(self, stage: Stage) -> None:
        """End the current stage and begin another one; do nothing if it is the same."""
        if stage is self.stage:
            return
        now = time.monotonic()
        if self.stage is not None:
            self.timings[self.stage] = self.timings.get(self.stage, 0.0) + now - self._began
        self.stage, self._began = stage, now
        self.timings.setdefault(stage, 0.0)

    def rounded(self) -> dict[str, float]:
        """Return the seconds by stage name, including the current stage until now."""
        so_far = {**self.timings}
        if self.stage is not None:
            so_far[self.stage] += time.monotonic() - self._began
        return {stage.value: round(seconds, 2) for stage, seconds in so_far.items()}
