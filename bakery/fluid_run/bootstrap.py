#!/usr/bin/env python3
"""The startup script of a Compute Engine test machine: fetches its part of the run, starts the agent, carries its mail.

One file that needs nothing but the standard library of Python 3.9. What to fetch stands in the instance's metadata
(``fluid-run-bucket``, ``fluid-run-prefix``, ``fluid-run-name``); the token comes from the metadata server, so there
is no key and no open port. The agent writes ``status.json`` and ``results.tar`` into a folder, and each time one of
them changed it goes into the bucket as ``<prefix>/<name>/<file>``.
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


def metadata(path: str) -> str:
    """A value of the metadata server."""
    request = urllib.request.Request(f"{METADATA}/{path}", headers={"Metadata-Flavor": "Google"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read(), "utf-8")


def authorization() -> dict[str, str]:
    """The header that says who this machine is; asked anew each time, as a token lives an hour at most."""
    token = json.loads(metadata("instance/service-accounts/default/token"))["access_token"]
    return {"Authorization": f"Bearer {token}"}


def download(bucket: str, name: str, file: Path) -> bool:
    """Fetch an object; False while it is not there. Raises OSError, also for half of it."""
    path = f"{STORAGE}/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}?alt=media"
    request = urllib.request.Request(path, headers=authorization())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer, file.open("wb") as sink:
            shutil.copyfileobj(answer, sink)
            if answer.length:
                raise OSError(f"{name} was cut off, {answer.length} bytes are missing")
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise
    return True


def upload(bucket: str, name: str, content: bytes) -> None:
    """Put an object."""
    where = urllib.parse.urlencode({"uploadType": "media", "name": name})
    request = urllib.request.Request(
        f"{STORAGE}/upload/storage/v1/b/{bucket}/o?{where}",
        data=content,
        headers={**authorization(), "Content-Type": "application/octet-stream"},
        method="POST",
    )
    urllib.request.urlopen(request, timeout=120).close()


def fetch_seed(bucket: str, prefix: str) -> Path:
    """Wait for the seed (it is written when all machines have their addresses), unpack it."""
    seed = FOLDER / "seed.tar"
    deadline = time.monotonic() + SEED_SECONDS
    while True:
        try:
            if download(bucket, f"{prefix}/seed.tar", seed):
                break
        except OSError as error:
            print(f"seed: {error}", flush=True)
        if time.monotonic() > deadline:
            raise SystemExit(f"{prefix}/seed.tar did not come within {SEED_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    place = FOLDER / "seed"
    with tarfile.open(seed) as tar:
        tar.extractall(place)
    seed.unlink()
    return place


def carry(bucket: str, prefix: str, out: Path, sent: dict[str, str]) -> None:
    """Send what changed; a failed try is made good by the next.

    The status is read first and sent last, as whoever reads there that the run ended looks for the results at once.
    """
    found = {name: (out / name).read_bytes() for name in MAIL if (out / name).is_file()}  # in the order of MAIL
    for name in reversed(MAIL):
        content = found.get(name, b"")
        digest = hashlib.sha256(content).hexdigest()
        if content and sent.get(name) != digest:
            try:
                upload(bucket, f"{prefix}/{name}", content)
                sent[name] = digest
            except OSError as error:
                print(f"{name}: {error}", flush=True)
                return


def last_word(out: Path, name: str, code: int) -> None:
    """Say for an agent that was killed that it is gone: nobody would hear of it before the run's deadline."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "status.json"
    said = json.loads(file.read_bytes()) if file.is_file() else {"machine": name, "stage": "start"}
    if not said.get("ended"):
        how = f"was killed by signal {-code}" if code < 0 else f"ended with {code} before it could say why"
        word = {"error": f"the agent on {name} {how}", "blame": "infrastructure", "ended": True}
        file.write_text(json.dumps({**said, **word}), encoding="utf-8")


def main() -> int:
    """Fetch, start, carry until the agent is done, and once more after it."""
    bucket, prefix, name = (metadata(f"instance/attributes/fluid-run-{key}") for key in ("bucket", "prefix", "name"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    seed, out = fetch_seed(bucket, prefix), FOLDER / "out"
    words = [sys.executable, "-E", "-s", "-m", "agent", "--course", "course.json", "--name", name]
    agent = subprocess.Popen([*words, "--workspace", "workspace", "--out", str(out)], cwd=seed)
    sent: dict[str, str] = {}
    while agent.poll() is None:
        carry(bucket, f"{prefix}/{name}", out, sent)
        time.sleep(POLL_SECONDS)
    last_word(out, name, agent.returncode)
    for _ in range(30):
        carry(bucket, f"{prefix}/{name}", out, sent)
        if all(entry in sent for entry in MAIL if (out / entry).is_file()):
            break
        time.sleep(POLL_SECONDS)
    return agent.returncode


if __name__ == "__main__":
    sys.exit(main())
