"""Agents of test machines without machines: as soon as a run's seed is uploaded, its results are in the bucket."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

from tests.fake_google.cloud import Cloud


def obey(
    cloud: Cloud,
    exit_codes: Mapping[str, int] | None = None,
    stdout: Mapping[str, str] | None = None,
    versions: Mapping[str, str] | None = None,
) -> None:
    """Let every run of the cloud end at once.

    ``exit_codes`` and ``stdout`` are by output directory; a job that is not named ends with 0 and prints nothing.
    ``versions`` are those of the software that every machine has.
    """
    codes = dict(exit_codes or {})
    outputs = {f"outputs/{name}/stdout": text.encode() for name, text in (stdout or {}).items()}

    def hook(cloud: Cloud, bucket: str, name: str, content: bytes) -> None:
        if not name.endswith("/seed.tar"):
            return
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            run_spec = tar.extractfile("run_spec.json")
            assert run_spec is not None
            jobs = [_result(index, job, codes) for index, job in enumerate(json.load(run_spec)["jobs"])]
        prefix = name.removesuffix("/seed.tar")
        status = {"stage": "collect", "jobs_done": len(jobs), "jobs_total": len(jobs), "ended": True}
        results = json.dumps({"version": 1, "jobs": jobs, "left_out": [], "versions": dict(versions or {})}).encode()
        members = {"agent-results.json": results, "logs/agent.log": b"", **outputs}
        _put(cloud, bucket, f"{prefix}/controller/results.tar", _tar(members))
        text = json.dumps(status)
        _put(cloud, bucket, f"{prefix}/controller/status.json", text.encode(), metadata={"status": text})

    cloud.hooks.append(hook)


class Upgraded:
    """Agents of a cluster whose nodes are replaced one after the other, once each is named in the status.

    It stands in for the machines, as it sees them come and go.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.prefix: tuple[str, str] | None = None  # the bucket and the run's prefix, once the seed is there
        self.nodes: list[str] = []  # those that are left
        self.jobs: list[Mapping[str, Any]] = []
        cloud.machines = self
        cloud.hooks.append(self._seeded)

    def _seeded(self, _cloud: Cloud, bucket: str, name: str, content: bytes) -> None:
        if name.endswith("/seed.tar"):
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                run_spec = json.load(tar.extractfile("run_spec.json"))  # type: ignore[arg-type]
            assert run_spec["upgrade"] is True
            self.prefix = (bucket, name.removesuffix("/seed.tar"))
            self.addresses = {entry["name"]: entry["address"] for entry in run_spec["machines"]}
            self.nodes = [entry["name"] for entry in run_spec["machines"] if entry["role"] == "compute"]
            self.jobs = [_result(index, job, {}) for index, job in enumerate(run_spec["jobs"])]
            self._tell()

    def _tell(self) -> None:
        assert self.prefix is not None
        bucket, prefix = self.prefix
        status = {"stage": "run", "reimage": self.nodes[0]} if self.nodes else {"stage": "collect", "ended": True}
        if not self.nodes:
            results = json.dumps({"version": 1, "jobs": self.jobs, "left_out": []}).encode()
            _put(self.cloud, bucket, f"{prefix}/controller/results.tar", _tar({"agent-results.json": results}))
        text = json.dumps(status)
        _put(self.cloud, bucket, f"{prefix}/controller/status.json", text.encode(), metadata={"status": text})

    def insert(self, key: str, item: Any) -> None:
        """A machine of a running cluster is the node that was named, with its address."""
        if self.nodes:
            node = self.nodes.pop(0)
            assert key.endswith(f"-{node}") and item["networkInterfaces"][0]["networkIP"] == self.addresses[node]
            self._tell()

    def delete(self, key: str) -> None:
        """Nothing ends."""

    def look(self) -> None:
        """Nothing ends by itself."""

    def console(self, key: str) -> bytes:
        """A line."""
        return b"booted\n"


def _result(index: int, job: Mapping[str, Any], codes: Mapping[str, int]) -> Mapping[str, Any]:
    code = codes.get(job["output_directory"], 0)
    state = "FAILED" if code else "COMPLETED"
    return {
        "index": index,
        "state": state,
        "exit_code": code,
        "attempts": [],
        "runtime": 1.0,
        "node_count": 2,
        "restarts": 0,
    }


def _tar(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _put(cloud: Cloud, bucket: str, name: str, content: bytes, **more: Any) -> None:
    key = f"storage/storage/v1/b/{bucket}/o/{name}"
    cloud.media[key] = content
    item = {"bucket": bucket, "name": name, "size": str(len(content)), "generation": cloud.number()}
    cloud.items[key] = item | more
