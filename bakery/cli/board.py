"""The progress of running work on standard error: one line each, updated in place on a terminal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bakery.cli.console import say
from bakery.progress.activity import Activity
from bakery.progress.status_line import QUIET_SECONDS, Line

REFRESH = 4  # times a second on a terminal


class Board:
    """The lines of several activities, which ``cancelled`` stops. Use it as a context."""

    def __init__(self, cancelled: threading.Event) -> None:
        self.cancelled = cancelled
        self._console = Console(stderr=True, highlight=False)
        self._lines: dict[str, Line] = {}
        self._lock = threading.Lock()
        self._live = (
            Live(get_renderable=self._table, console=self._console, refresh_per_second=REFRESH, transient=True)
            if self._console.is_terminal
            else None
        )

    def __enter__(self) -> Board:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live:
            self._live.stop()

    @contextmanager
    def watch(self, name: str) -> Iterator[Activity]:
        """Yield the activity ``name``, which is shown while the block runs."""
        line = Line(lambda text: say(f"{name}: {text}"), again=QUIET_SECONDS)
        with self._lock:
            self._lines[name] = line
        try:
            with nullcontext() if self._live else line:
                yield Activity(line.say, self.cancelled)
        finally:
            with self._lock:
                del self._lines[name]

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        with self._lock:
            for name, line in self._lines.items():
                table.add_row(Text(name, style="bold"), Text(line.text() or "starting"))
        return table
