"""Rows of ``app_runs`` in BigQuery."""

from collections.abc import Mapping, Sequence

from google.api_core import exceptions

from bakery.errors import BakeryError
from bakery.host.google import RETRY, TIMEOUT_SECONDS, Google, api_errors


def store_rows(google: Google, table: str, rows: Sequence[Mapping[str, object]], run_id: str) -> None:
    """Store the rows of a run in ``project.dataset.table``; a repeated call changes nothing.

    Fields that the table does not have are left out: it may be rcc-run's, or that of an earlier version of the bakery.
    Raises BakeryError if BigQuery refuses a row or the table does not exist, and Uncertain.
    """
    if not rows:
        return
    ids = [f"{run_id}-{number}" for number in range(len(rows))]
    try:
        with api_errors(f"store the rows of {run_id} in {table}", reraise=(exceptions.NotFound,)):
            refused = google.bigquery.insert_rows_json(
                table, list(rows), row_ids=ids, ignore_unknown_values=True, retry=RETRY, timeout=TIMEOUT_SECONDS
            )
    except exceptions.NotFound as error:
        raise BakeryError(f"there is no table {table}", hint="create it with pulumi up of a gcp stack") from error
    if refused:
        # One wrong row stops all others, which come first and say nothing.
        reasons = [error for row in refused for error in row["errors"] if error["reason"] != "stopped"]
        shown = "; ".join(dict.fromkeys(f"{error.get('location')}: {error.get('message')}" for error in reasons))
        raise BakeryError(f"BigQuery refused the rows of {run_id}: {shown or refused}", hint=f"see {table}")
