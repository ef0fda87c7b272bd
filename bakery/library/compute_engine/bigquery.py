"""Rows of ``app_runs`` in BigQuery: those of runs that end at about the same time are stored with one request."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from google.api_core import exceptions

from bakery.errors import BakeryError
from bakery.host.batches import Batches
from bakery.host.google import RETRY, TIMEOUT_SECONDS, Google, api_errors

MOST = 16  # runs in one request, which may have 10 MB


@dataclass(frozen=True)
class _Run:
    """The rows of a run, and where they go."""

    table: str
    run_id: str
    rows: Sequence[Mapping[str, object]]

    @property
    def ids(self) -> list[str]:
        """Return what tells BigQuery that a row was sent before."""
        return [f"{self.run_id}-{number}" for number in range(len(self.rows))]


class _Rows:
    """Stores the rows of many threads."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self.runs = Batches(self._store, most=MOST)

    def _store(self, runs: Sequence[_Run]) -> Sequence[Sequence[Any]]:
        """Return what BigQuery refuses of each run. One wrong row stops all others, so then each run is sent alone."""
        if len({run.table for run in runs}) == 1 < len(runs):
            with suppress(exceptions.ClientError):  # too long, or wrong, which the run's own request says
                if not self._insert(*runs):
                    return [[]] * len(runs)
        return [self._insert(run) for run in runs]

    def _insert(self, *runs: _Run) -> Sequence[Any]:
        rows = [row for run in runs for row in run.rows]
        ids = [one for run in runs for one in run.ids]
        refused: Sequence[Any] = self._google.bigquery.insert_rows_json(
            runs[0].table, rows, row_ids=ids, ignore_unknown_values=True, retry=RETRY, timeout=TIMEOUT_SECONDS
        )
        return refused


def store_rows(google: Google, table: str, rows: Sequence[Mapping[str, object]], run_id: str) -> None:
    """Store the rows of a run in ``project.dataset.table``; a repeated call changes nothing.

    Fields that the table does not have are left out: it may be rcc-run's, or that of an earlier version of the bakery.
    Raises BakeryError if BigQuery refuses a row or the table does not exist, and Uncertain.
    """
    if not rows:
        return
    try:
        with api_errors(f"store the rows of {run_id} in {table}", reraise=(exceptions.NotFound,)):
            refused = google.shared(_Rows).runs.get(_Run(table, run_id, rows))
    except exceptions.NotFound as error:
        raise BakeryError(f"there is no table {table}", hint="create it with pulumi up of a gcp stack") from error
    if refused:
        # One wrong row stops all others, which come first and say nothing.
        reasons = [error for row in refused for error in row["errors"] if error["reason"] != "stopped"]
        shown = "; ".join(dict.fromkeys(f"{error.get('location')}: {error.get('message')}" for error in reasons))
        raise BakeryError(f"BigQuery refused the rows of {run_id}: {shown or refused}", hint=f"see {table}")
