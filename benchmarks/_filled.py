"""Libraries for ``benchmarks/library.py``: 100 families, each with one promoted image and a long past."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bakery.codec import encode
from bakery.library.base import ImageRecord, ImageState, Proof, Want
from bakery.library.local import rows, runs
from bakery.library.local.files import Sidecar
from bakery.plan.image_labels import image_labels
from bakery.plan.summary import ImageSummary
from bakery.preview.plan_report import plan_report
from bakery.recipe.model import Metric
from bakery.results.model import Figure, JobResult, RunResult, Verdict
from tests.support import workshop as shop
from tests.support.workshop import Workshop

METRIC = Metric("performance", r"performance: ([0-9.]+)", "GFLOPS")
OUTPUT = "performance: 2.5 GFLOPS\n" * 20


def checkout(folder: Path, families: int = 100) -> Workshop:
    """A checkout with so many independent recipes."""
    made = shop.make(folder, folder.with_name("home"), "/nowhere")
    for number in range(families):
        made.recipe(f"family{number:03}")
    return made


def records(planned: list[ImageSummary], images: int) -> Iterator[ImageRecord]:
    """Old images of all families in turn, the planned ones at last."""
    for number in range(images):
        family = planned[number % len(planned)]
        last = number >= images - len(planned)
        digest = family.digest if last else hashlib.sha256(str(number).encode()).hexdigest()
        labels = image_labels(
            package=family.package,
            variant="",
            family=family.family,
            digest=digest,
            parent=family.base.name,
            revision="r",
        )
        created = f"2026-01-{number // 1440 % 28 + 1:02}T{number // 60 % 24:02}:{number % 60:02}:00Z"
        state = ImageState.ACTIVE if last else ImageState.DEPRECATED
        name = f"{family.family}-{digest[:12]}"
        yield ImageRecord(
            name, digest, family.package, "", family.family, created, family.family, state, parent=family.base.name,
            proof=Proof.PASSED, size=1, bake_seconds=60.0, labels=labels, inputs=family.inputs,
        )  # fmt: skip


def run_of(image: str, number: int, tests: str) -> RunResult:
    """A passed run of one job."""
    row = {"command_group": "bench", "execution_command": "test/bench.sh", "exit_code": 0, "git_sha": "a" * 40}
    job = JobResult(
        {**row, "stdout": OUTPUT, "runtime": 1.5},
        (Figure(METRIC, 2.0 + number % 1000 / 1000, passed=True),),
        passed=True,
    )
    started = f"2026-02-01T{number % 24:02}:{number // 24 % 60:02}:00Z"
    return RunResult(f"run-{number:06}", image, tests, Verdict.PASSED, started, (job,), {"run": 1.0})


def local(folder: Path, images: int, count: int) -> None:
    """A library of this machine, filled in one transaction."""
    made = checkout(folder)
    library = made.library
    planned = [decision.image for decision in plan_report(made.settings).decisions]
    tests = {one.family: one.tests_digest for one in planned}
    filled = list(records(planned, images))
    library.images()
    library.files.folder.mkdir(parents=True, exist_ok=True)
    with library.database.writing() as connection:
        for image in filled:
            library.files.image(image.digest).write_text("x")
            sidecar = Sidecar(image.name, replace(image, location=str(library.files.image(image.digest))))
            library.files.sidecar(image.name).write_text(json.dumps(encode(sidecar), indent=1))
            rows.insert_image(connection, image, sidecar.publication, image.created)
            with library.leases.shared(image.digest):
                pass  # every publication leaves the file of its lease
        connection.execute("UPDATE images SET state = 'DEPRECATED', family = candidate_for")
        for image in filled[-len(planned) :]:
            connection.execute("INSERT INTO families VALUES (?, ?)", (image.family, image.name))
            connection.execute("UPDATE images SET state = 'ACTIVE' WHERE name = ?", (image.name,))
            rows.put(
                connection,
                "wants",
                {"stack": "image-bakery/dev", "family": image.family, "image": image.name, "token": "t"},
            )
        for number in range(count):
            image = filled[number % len(filled)]
            runs.insert_run(connection, run_of(image.name, number, tests[image.candidate_for]))
            rows.record_proof(
                connection, [image.name], image.proof, tests[image.candidate_for], image.created, labels={}
            )


def copy(folder: Path, to: Path) -> None:
    """The same for a build that knows the first schema only."""
    shutil.copytree(folder, to, symlinks=True)
    library = shop.Workshop(to, {}).library
    with library.database.writing() as connection:
        connection.execute("DROP TABLE wants")
        connection.execute("DROP TABLE revocations")
        connection.execute("PRAGMA user_version = 1")


def google(folder: Path, images: int, families: int, delay: float, calls: Connection) -> None:
    """Serve a project with these images until the end of the process; answer each message with the calls since."""
    from bakery.library.compute_engine.library import ComputeEngineLibrary
    from tests.fake_google.cloud import Fault
    from tests.fake_google.server import serve
    from tests.gcp.stack import lock_base

    made = checkout(folder, families)
    lock_base(folder / "bakery.lock")
    made.stack = "gcp"
    with serve() as server:
        values = {"project": "p", "region": "us-central1", "repository": "owner/name", "endpoint": server.url}
        made.extra = {"oven": "cloud-build", "google": values}
        server.cloud.items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
        planned = [decision.image for decision in plan_report(made.settings).decisions]
        tests = {one.family: one.tests_digest for one in planned}
        for image in records(planned, images):
            _add(server.cloud, image, tests[image.candidate_for])
        library = ComputeEngineLibrary(made.settings)
        for one in planned:
            library.want(Want("image-bakery/gcp", one.family, one.name, "t"))
        server.cloud.faults.append(Fault(".", times=-1, delay=delay))
        server.cloud.calls.clear()
        calls.send(os.getpid())
        while True:
            calls.recv()
            calls.send(Counter(method for _, method, _ in server.cloud.calls))
            if server.cloud.violations:
                raise SystemExit("\n".join(server.cloud.violations[:5]))
            server.cloud.calls.clear()


def _add(cloud: Any, image: ImageRecord, tests: str) -> None:
    from bakery.plan.image_labels import PROOF_LABEL, TESTS_LABEL
    from tests.fake_google import compute

    deprecated = {"state": image.state.value, "deprecated": "2026-11-01T00:00:00Z"}
    body = {
        "name": image.name,
        "family": image.family,
        "labels": {**image.labels, PROOF_LABEL: image.proof.value, TESTS_LABEL: tests[:32]},
        "creationTimestamp": image.created,
        **({"deprecated": deprecated} if image.state is not ImageState.ACTIVE else {}),
    }
    compute.add_image(cloud, "compute/compute/v1/projects/p/global/images", body)
