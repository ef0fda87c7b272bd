"""What a machine reports: its status, its log, and its results."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from .system import LOGS
from .wire import Json

TYPE_CHECKING = False  # see wire.py
if TYPE_CHECKING:
    from .mailbox import Mailbox, Member


class Reporter:
    """Sends the status when it changes and the results when asked; log lines go to the console and to a file."""

    def __init__(self, mailbox: Mailbox, name: str, logs: Path = LOGS) -> None:
        self.mailbox = mailbox
        self.logs = logs
        self.results: list[Member] = []  # sent together with the logs
        self.status: dict[str, Json] = {"machine": name, "stage": "start", "ended": False, "error": "", "blame": ""}
        logs.mkdir(parents=True, exist_ok=True)

    def update(self, **values: Json) -> None:
        """Change the status, and send it if a value is different."""
        changed = {key: value for key, value in values.items() if self.status.get(key, self) != value}
        if changed:
            self.status.update(changed)
            self.mailbox.send_status(self.status)

    def log(self, text: str) -> None:
        """Write one line with the seconds since the machine started."""
        line = f"[{time.monotonic():8.1f}] {text}"
        print(line, flush=True)
        # A job may have filled the disk.
        with contextlib.suppress(OSError), (self.logs / "agent.log").open("a", encoding="utf-8") as sink:
            sink.write(line + "\n")

    def send_results(self) -> None:
        """Send the results so far and the log files."""
        logs = [(f"logs/{file.name}", file) for file in sorted(self.logs.iterdir()) if file.is_file()]
        self.mailbox.send_results([*self.results, *logs])
