#!/usr/bin/env python3
"""The startup script of a Compute Engine test machine: downloads the seed, starts the agent, uploads its files.

One file, as it is the value of a metadata key; it needs nothing except the standard library of Python 3.9. The
instance's metadata has the bucket (``fluid-run-bucket``), the run's prefix (``fluid-run-prefix``) and the name of the
machine (``fluid-run-name``). The token comes from the metadata server, so there is no key and no open port. The agent
writes ``status.json`` and ``results.tar`` into a folder; each change is uploaded as ``<prefix>/<name>/<file>``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

METADATA = os.environ.get("FLUID_RUN_METADATA", "http://metadata.google.internal/computeMetadata/v1")
STORAGE = os.environ.get("FLUID_RUN_STORAGE", "https://storage.googleapis.com")
FOLDER = Path(os.environ.get("FLUID_RUN_FOLDER", "/var/lib/fluid-run"))
SEED_SECONDS = 900.0
POLL_SECONDS = 2.0
MAIL = ("status.json", "results.tar")
NOTE_BYTES = 6000  # of a status that is an object's metadata, too; Cloud Storage takes 8 KiB of it
BOUNDARY = "fluid-run-part"  # JSON has no line ends in it, and so no line that begins with it


def metadata(path: str) -> str:
    """Return a value of the metadata server. Raises OSError."""
    request = urllib.request.Request(f"{METADATA}/{path}", headers={"Metadata-Flavor": "Google"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read(), "utf-8")


def authorization() -> dict[str, str]:
    """Return the header with the machine's token, which is read again each time as it expires within an hour."""
    token = json.loads(metadata("instance/service-accounts/default/token"))["access_token"]
    return {"Authorization": f"Bearer {token}"}


def download(bucket: str, name: str, file: Path) -> bool:
    """Download an object; return False if it does not exist. Raises OSError, also if the connection breaks."""
    url = f"{STORAGE}/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}?alt=media"
    request = urllib.request.Request(url, headers=authorization())
    try:
        with urllib.request.urlopen(request, timeout=60) as response, file.open("wb") as sink:
            shutil.copyfileobj(response, sink)
            if response.length:
                raise OSError(f"{name} was cut off, {response.length} bytes are missing")
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise
    return True


def upload(bucket: str, name: str, content: bytes) -> None:
    """Upload an object. Raises OSError.

    A status is also the metadata of its object, so that the host sees those of all machines in the list of objects.
    """
    kind, body, media = "media", content, "application/octet-stream"
    if name.endswith("/status.json") and len(content) <= NOTE_BYTES:
        kind, media = "multipart", f"multipart/related; boundary={BOUNDARY}"
        note = json.dumps({"name": name, "metadata": {"status": content.decode()}}).encode()
        parts = ((b"application/json; charset=UTF-8", note), (b"application/octet-stream", content))
        line = b"\r\n--" + BOUNDARY.encode()
        body = b"".join(line + b"\r\nContent-Type: " + of + b"\r\n\r\n" + part for of, part in parts) + line + b"--\r\n"
        body = body[2:]
    query = urllib.parse.urlencode({"uploadType": kind, "name": name})
    request = urllib.request.Request(
        f"{STORAGE}/upload/storage/v1/b/{bucket}/o?{query}",
        data=body,
        headers={**authorization(), "Content-Type": media},
        method="POST",
    )
    urllib.request.urlopen(request, timeout=120).close()


def fetch_seed(bucket: str, prefix: str) -> Path:
    """Wait for the seed, which is uploaded when all machines have their addresses; return its unpacked folder."""
    seed = FOLDER / "seed.tar"
    deadline = time.monotonic() + SEED_SECONDS
    while True:
        try:
            if download(bucket, f"{prefix}/seed.tar", seed):
                break
        except OSError as error:
            print(f"seed: {error}", flush=True)
        if time.monotonic() > deadline:
            raise SystemExit(f"{prefix}/seed.tar was not uploaded within {SEED_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    folder = FOLDER / "seed"
    with tarfile.open(seed) as tar:
        tar.extractall(folder)
    seed.unlink()
    return folder


def send_changes(bucket: str, prefix: str, out: Path, sent: dict[str, str]) -> None:
    """Upload the files that changed; ``sent`` has their digests. A failed upload is repeated by the next call.

    The status is read first and sent last: the host downloads the results as soon as it reads that the run has ended.
    """
    contents = {name: (out / name).read_bytes() for name in MAIL if (out / name).is_file()}  # in the order of MAIL
    for name in reversed(MAIL):
        content = contents.get(name, b"")
        digest = hashlib.sha256(content).hexdigest()
        if content and sent.get(name) != digest:
            try:
                upload(bucket, f"{prefix}/{name}", content)
                sent[name] = digest
            except OSError as error:
                print(f"{name}: {error}", flush=True)
                return


def report_end(out: Path, name: str, code: int) -> None:
    """Complete the status of an agent that was killed; otherwise the host would wait for the run's deadline."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "status.json"
    status = json.loads(file.read_bytes()) if file.is_file() else {"machine": name, "stage": "start"}
    if not status.get("ended"):
        how = f"was killed by signal {-code}" if code < 0 else f"ended with {code} before it could report why"
        end = {"error": f"the agent on {name} {how}", "blame": "infrastructure", "ended": True}
        file.write_text(json.dumps({**status, **end}), encoding="utf-8")


def main() -> int:
    """Download the seed, start the agent, upload its files until it has ended and everything is sent."""
    bucket, prefix, name = (metadata(f"instance/attributes/fluid-run-{key}") for key in ("bucket", "prefix", "name"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    seed, out = fetch_seed(bucket, prefix), FOLDER / "out"
    words = [sys.executable, "-E", "-s", "-m", "agent", "--run-spec", "run_spec.json", "--name", name]
    agent = subprocess.Popen([*words, "--workspace", "workspace", "--out", str(out)], cwd=seed)
    sent: dict[str, str] = {}
    while agent.poll() is None:
        send_changes(bucket, f"{prefix}/{name}", out, sent)
        time.sleep(POLL_SECONDS)
    report_end(out, name, agent.returncode)
    for _ in range(30):
        send_changes(bucket, f"{prefix}/{name}", out, sent)
        if all(entry in sent for entry in MAIL if (out / entry).is_file()):
            break
        time.sleep(POLL_SECONDS)
    return agent.returncode


if __name__ == "__main__":
    sys.exit(main())
