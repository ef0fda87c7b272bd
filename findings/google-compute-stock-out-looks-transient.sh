#!/usr/bin/env bash
# google-cloud-compute 1.57.0 with google-api-core 2.44.0: when Compute Engine has no machines left in a zone, the
# operation ends with the code ZONE_RESOURCE_POOL_EXHAUSTED. The client turns it into ServiceUnavailable: `message` is
# only "SERVICE UNAVAILABLE", `reason` is None and `details` is empty, as if a server had been down for a moment.
# google-api-core's own `if_transient_error` says that it is worth a retry, so a call with its default Retry asks the
# empty zone again until its deadline. Code and text are only in `errors` and in `str()`.
# To go on to another zone, look for the code in `errors` before any retry sees the exception.
# Exits 1 if the client behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check google-cloud-compute==1.57.0 google-api-core==2.44.0

cat >"$work/stock_out.py" <<'PYTHON'
import http.server
import json
import threading

from google.api_core import retry
from google.auth.credentials import AnonymousCredentials
from google.cloud import compute_v1
from google.cloud.compute_v1.services.instances.transports.rest import InstancesRestTransport
from google.cloud.compute_v1.services.zone_operations.transports.rest import ZoneOperationsRestTransport

BEGUN = {"kind": "compute#operation", "id": "1", "name": "operation-1", "zone": "projects/p/zones/z"}
ENDED = {
    "status": "DONE",
    "httpErrorStatusCode": 503,
    "httpErrorMessage": "SERVICE UNAVAILABLE",
    "error": {"errors": [{"code": "ZONE_RESOURCE_POOL_EXHAUSTED", "message": "The zone has not enough resources."}]},
}


class Answers(http.server.BaseHTTPRequestHandler):
    """The insert begins an operation, and a look at the operation finds its end."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        ended = "/operations/" in self.path
        body = json.dumps(BEGUN | (ENDED if ended else {"status": "RUNNING"})).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
threading.Thread(target=server.serve_forever, daemon=True).start()
plain = {"host": f"127.0.0.1:{server.server_port}", "url_scheme": "http", "credentials": AnonymousCredentials()}
operations = compute_v1.ZoneOperationsClient(transport=ZoneOperationsRestTransport(**plain))


class Transport(InstancesRestTransport):
    """As it is; only its client of operations would ask https://."""

    _zone_operations_client = operations


instances = compute_v1.InstancesClient(transport=Transport(**plain))
operation = instances.insert(project="p", zone="z", instance_resource=compute_v1.Instance(name="m"))
try:
    operation.result(timeout=60)
except Exception as error:
    print(type(error).__name__)
    print("message:", error.message, "reason:", error.reason, "details:", error.details)
    print("worth a retry:", retry.if_transient_error(error))
    print("errors:", [one.code for one in error.errors])
    print("in str():", "ZONE_RESOURCE_POOL_EXHAUSTED" in str(error))
PYTHON
"$work/venv/bin/python" "$work/stock_out.py" | tee "$work/seen"

diff - "$work/seen" <<'EXPECTED'
ServiceUnavailable
message: SERVICE UNAVAILABLE reason: None details: []
worth a retry: True
errors: ['ZONE_RESOURCE_POOL_EXHAUSTED']
in str(): True
EXPECTED
echo "seen again: a stock-out looks like a server that was down for a moment"
