"""The only place where Google clients are created, and where their errors become the bakery's.

All clients use REST: one protocol to debug, and the one that the fake of the tests serves. Credentials are the
application default ones without key files. The client library renews them, so a bake may take many hours.

Compute Engine is asked without its client library, which takes 95 MiB and more than a second to load: with the session
and the errors that all of these libraries share. The others are imported where they are used.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from google.api_core import exceptions, retry
from google.api_core.client_options import ClientOptions
from google.auth import default
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud.storage import Blob  # type: ignore[import-untyped]
from google.cloud.storage import Client as StorageClient
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse  # type: ignore[import-untyped]
from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]
from requests import Session
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException

from bakery.errors import BakeryError, Uncertain
from bakery.host.google_errors import Cause, cause_of, refusal
from bakery.host.principal import address_of
from bakery.settings import GoogleSettings

if TYPE_CHECKING:
    from google.cloud import bigquery
    from google.cloud.devtools import cloudbuild_v1
    from google.pubsub_v1 import PublisherClient

# Otherwise Cloud Storage's client looks up each bucket in the background, for traces that are not collected.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
COMPUTE_ENGINE = "https://compute.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LOGIN = "gcloud auth application-default login"
TIMEOUT_SECONDS = 60.0
_log = logging.getLogger(__name__)
CALLS_AT_ONCE = 8  # of one piece of work
CONNECTIONS = 64  # that a client keeps: by itself ten, and each further call would open one and warn of it
Shared = TypeVar("Shared")
# Broken connections, including the one that renews credentials.
CONNECTION_ERRORS = (
    *(exceptions.RetryError, RequestException, ConnectionError, TimeoutError),
    *(DataCorruption, InvalidResponse, TransportError),
)


def transient(error: Exception) -> bool:
    """Return whether the same request may be answered later; a zone without capacity stays so for some time."""
    cause = cause_of(error)
    unavailable = isinstance(error, (exceptions.ServerError, *CONNECTION_ERRORS))
    return cause is Cause.RATE or (unavailable and cause is not Cause.CAPACITY)


RETRY = retry.Retry(predicate=transient, initial=0.25, maximum=30.0, multiplier=2.0, timeout=120.0)


def _enabled_recently(error: Exception) -> bool:
    """Return whether to try again, also if the service is not enabled: it works some minutes after it was."""
    if cause_of(error) is Cause.SERVICE:
        _log.warning("waiting for a service that may have been enabled moments ago: %s", error)
    return transient(error) or cause_of(error) is Cause.SERVICE


# For the first request to a project.
PATIENT = retry.Retry(predicate=_enabled_recently, initial=5.0, maximum=30.0, multiplier=2.0, timeout=180.0)
# Cloud Storage's client has its own kinds of errors.
STORAGE_RETRY = DEFAULT_RETRY.with_delay(initial=0.25, maximum=30.0, multiplier=2.0)


def _keep_connections(session: Session) -> None:
    """Let a client that many threads share keep a connection for each."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))


class Google:
    """The clients of one project, each created at its first use. Safe to share among threads."""

    def __init__(self, settings: GoogleSettings) -> None:
        self.settings = settings
        self.project = settings.project
        self._options = ClientOptions(api_endpoint=settings.endpoint) if settings.endpoint else None
        self._shared: dict[Callable[[Google], Any], Any] = {}
        self._lock = threading.RLock()

    def shared(self, make: Callable[[Google], Shared]) -> Shared:
        """Return what ``make`` made of these clients at the first call: one object for all who use them."""
        with self._lock:
            if make not in self._shared:
                self._shared[make] = make(self)
            made: Shared = self._shared[make]
            return made

    @cached_property
    def credentials(self) -> Credentials:
        """The application default credentials; anonymous ones if the settings name an endpoint. Raises BakeryError."""
        if self.settings.endpoint:
            return AnonymousCredentials()  # type: ignore[no-untyped-call]
        try:
            credentials: Credentials = default(scopes=[SCOPE])[0]
        except GoogleAuthError as error:
            raise BakeryError(f"no Google credentials: {error}", hint=f"run: {LOGIN}") from error
        return credentials

    @cached_property
    def principal(self) -> str:
        """The address of the account of the credentials; "" if it is not known."""
        with contextlib.suppress(GoogleAuthError, *CONNECTION_ERRORS):
            if not address_of(self.credentials):  # only an answer of Google tells it
                self.credentials.refresh(Request())  # type: ignore[no-untyped-call]
        return address_of(self.credentials)

    @cached_property
    def _access(self) -> dict[str, Any]:
        return {"credentials": self.credentials, "client_options": self._options}

    @cached_property
    def builds(self) -> cloudbuild_v1.CloudBuildClient:
        """The client of Cloud Build."""
        from google.cloud.devtools import cloudbuild_v1

        client = cloudbuild_v1.CloudBuildClient(transport="rest", **self._access)
        _keep_connections(client.transport._session)  # type: ignore[attr-defined]  # that of REST
        return client

    @cached_property
    def storage(self) -> StorageClient:
        """The client of Cloud Storage."""
        client = StorageClient(self.project, **self._access)
        _keep_connections(client._http)
        return client

    @cached_property
    def bigquery(self) -> bigquery.Client:
        """The client of BigQuery."""
        from google.cloud import bigquery

        client = bigquery.Client(self.project, **self._access)
        _keep_connections(client._http)
        return client

    @cached_property
    def publisher(self) -> PublisherClient:
        """The client of Pub/Sub."""
        from google.pubsub_v1 import PublisherClient

        return PublisherClient(transport="rest", **self._access)

    @cached_property
    def _session(self) -> AuthorizedSession:
        session = AuthorizedSession(self.credentials)  # type: ignore[no-untyped-call]
        _keep_connections(session)
        session.headers["x-goog-api-client"] = "gl-python/3 image-bakery"  # who calls, as the clients say it
        return session

    def read_compute(self, path: str, project: str = "", **query: str) -> Mapping[str, Any]:
        """Return the answer to a GET of a path in a project, such as ``global/images``; tries as often as clients.

        ``project`` is another one than that of the settings.
        """
        return RETRY(self.ask)("GET", COMPUTE_ENGINE, _in_project(project or self.project, path), params=query)

    def change_compute(
        self, verb: str, path: str, body: Mapping[str, Any] | None = None, project: str = ""
    ) -> Mapping[str, Any]:
        """Return the answer to one request that changes what is at a path; see :meth:`read_compute`.

        Nearly always it is an operation, see :mod:`bakery.host.compute_operation`.
        """
        return self.ask(verb, COMPUTE_ENGINE, _in_project(project or self.project, path), json=body)

    def ask(self, verb: str, host: str, path: str, **more: Any) -> Mapping[str, Any]:
        """Return the answer to one request; ``more`` is that of ``requests``. Raises the same errors as the clients."""
        url = f"{self.settings.endpoint or host}/{path}"
        answer = self._session.request(verb, url, timeout=TIMEOUT_SECONDS, **more)  # type: ignore[no-untyped-call]
        if not answer.ok:
            raise exceptions.from_http_response(answer)  # type: ignore[no-untyped-call]
        return dict(answer.json())


def _in_project(project: str, path: str) -> str:
    return f"compute/v1/projects/{project}/{path}".rstrip("/")  # without a path, the project itself


_last: list[Google] = []  # a stack has one, and one that takes images from another has two
_last_lock = threading.Lock()


def clients(settings: GoogleSettings) -> Google:
    """Return the clients for these settings: the same ones for all who ask for one of the last few settings."""
    with _last_lock:
        made = next((one for one in _last if one.settings == settings), None) or Google(settings)
        _last[:] = [made, *(one for one in _last if one is not made)][:4]
        return made


def fetched(blob: Blob, what: str) -> bytes | None:
    """Return an object's content; None if it does not exist. ``what`` as for :func:`api_errors`. Raises Uncertain."""
    with ignore_missing(what):
        return bytes(RETRY(blob.download_as_bytes)(timeout=TIMEOUT_SECONDS, retry=None))
    return None


@contextlib.contextmanager
def api_errors(what: str, hint: str = "", reraise: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn the client libraries' errors into the bakery's; ``what`` names the request in the message.

    ``reraise`` are the errors that the caller handles: :class:`google.api_core.exceptions.NotFound`, the only one that
    means "does not exist", and others. Of the rest, 401, 403, 429, 5xx and a broken connection become Uncertain, a
    conflict with another change or a quota becomes InfrastructureFailed, a zone without machines becomes NoCapacity,
    and every other refusal, as one by a policy of the organisation, becomes BakeryError.
    """
    try:
        yield
    except reraise:
        raise
    except exceptions.RetryError as error:
        cause = error.cause
        answer = cause if isinstance(cause, exceptions.GoogleAPICallError) else None
        raise refusal(what, answer, hint) if answer else Uncertain(f"{what}: {error}", hint=hint) from error
    except exceptions.GoogleAPICallError as error:
        raise refusal(what, error, hint) from error
    except CONNECTION_ERRORS as error:
        raise Uncertain(f"{what}: {error}", hint=hint or "try again; nothing was changed") from error
    except GoogleAuthError as error:
        raise Uncertain(f"{what}: {error}", hint=hint or f"log in again: {LOGIN}") from error


@contextlib.contextmanager
def ignore_missing(what: str) -> Iterator[None]:
    """Turn errors as :func:`api_errors` does, and ignore NotFound: the object of the request is gone."""
    with contextlib.suppress(exceptions.NotFound), api_errors(what, reraise=(exceptions.NotFound,)):
        yield
