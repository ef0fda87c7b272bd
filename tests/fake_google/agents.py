"""Agents of test machines without machines: as soon as a run's seed is uploaded, its results are in the bucket."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

from tests.fake_google.cloud import Cloud


def obey(cloud: Cloud, exit_codes: Mapping[str, int] | None = None, stdout: Mapping[str, str] | None = None) -> None:
    """Let every run of the cloud end at once.

    ``exit_codes`` and ``stdout`` are by output directory; a job that is not named ends with 0 and prints nothing.
    """
    codes = dict(exit_codes or {})
    outputs = {f"outputs/{name}/stdout": text.encode() for name, text in (stdout or {}).items()}

    def hook(cloud: Cloud, bucket: str, name: str, content: bytes) -> None:
        if not name.endswith("/seed.tar"):
            return
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            course = tar.extractfile("course.json")
            assert course is not None
            jobs = [_result(index, job, codes) for index, job in enumerate(json.load(course)["jobs"])]
        prefix = name.removesuffix("/seed.tar")
        status = {"stage": "collect", "jobs_done": len(jobs), "jobs_total": len(jobs), "ended": True}
        results = json.dumps({"version": 1, "jobs": jobs, "left_out": []}).encode()
        members = {"agent-results.json": results, "logs/agent.log": b"", **outputs}
        _put(cloud, bucket, f"{prefix}/controller/results.tar", _tar(members))
        _put(cloud, bucket, f"{prefix}/controller/status.json", json.dumps(status).encode())

    cloud.hooks.append(hook)


def _result(index: int, job: Mapping[str, Any], codes: Mapping[str, int]) -> Mapping[str, Any]:
    code = codes.get(job["output_directory"], 0)
    state = "FAILED" if code else "COMPLETED"
    return {"index": index, "state": state, "exit_code": code, "attempts": [], "runtime": 1.0, "node_count": 2}


def _tar(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _put(cloud: Cloud, bucket: str, name: str, content: bytes) -> None:
    key = f"storage/storage/v1/b/{bucket}/o/{name}"
    cloud.media[key] = content
    cloud.items[key] = {"bucket": bucket, "name": name, "size": str(len(content)), "generation": cloud.number()}
