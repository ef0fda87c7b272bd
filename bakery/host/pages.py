"""Lists of Compute Engine, page by page."""

from collections.abc import Iterator, Mapping
from typing import Any

from bakery.host.google import Google


def compute_pages(google: Google, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
    """Yield the pages of a list, see :meth:`Google.read_compute`, whose errors it raises."""
    while True:
        page = google.read_compute(path, **query)
        yield page
        if not page.get("nextPageToken"):
            return
        query["pageToken"] = page["nextPageToken"]


def compute_items(google: Google, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
    """Yield what is on the pages of a list of one place; see :func:`compute_pages`."""
    for page in compute_pages(google, path, **query):
        yield from page.get("items", ())


def compute_everywhere(google: Google, kind: str, **query: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the things of a kind (``disks``) in all zones and regions, each with the name of its place.

    See :func:`compute_pages`.
    """
    for page in compute_pages(google, f"aggregated/{kind}", **query):
        for place, scoped in page.get("items", {}).items():
            for one in scoped.get(kind, ()):
                yield place.rpartition("/")[2], one
