"""A bake of rcc-debian in a machine, which takes minutes of one core: other tests use the other cores meanwhile."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import source_tree

END_SECONDS = 60


@dataclass
class MachineBake:
    """The bake, in a state folder of its own below ``folder``."""

    folder: Path
    running: subprocess.Popen[str] | None = field(default=None)

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    def begin(self) -> subprocess.Popen[str]:
        """Start it, unless it runs already."""
        if self.running is None:
            config = self.folder / "Pulumi.machine.yaml"
            settings = {"oven": "local", "state": str(self.state), "local": "{isolation: machine, cores: 1}"}
            lines = [f"  image-bakery:{key}: {value}" for key, value in settings.items()]
            config.write_text("\n".join(["config:", *lines, ""]), encoding="utf-8")
            with (self.folder / "log").open("wb") as log:
                self.running = subprocess.Popen(
                    ["bakery", "--config-file", str(config), "bake", "rcc-debian", "--stack", "dev"],
                    cwd=source_tree.ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
        return self.running

    def image(self) -> Path:
        """Wait for its end; return the image, ``<digest>.qcow2``."""
        assert self.begin().wait() == 0, (self.folder / "log").read_text(encoding="utf-8")
        (image,) = (self.state / "library/images").glob("*.qcow2")
        return image

    def end(self) -> None:
        """Stop it if it still runs."""
        if self.running is not None and self.running.poll() is None:
            self.running.send_signal(signal.SIGINT)
            self.running.wait(END_SECONDS)
