"""Cloud Build's workers, for real: the steps of a build run on this computer, one after the other.

In place of a step's container there are its programs, ``/workspace`` is a folder, and Packer's plugin is not fetched
from GitHub but installed from a file of the same version. The template is told where Google is. Sources: "Build
configuration file schema" and "Substituting variable values" of Cloud Build's documentation.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fake_google import builds, iap
from tests.fake_google.builds import Course
from tests.fake_google.cloud import Cloud, rfc3339

Json = Any
TOKEN = "ya29.of-the-build"
ACCOUNT = ("bakery-bake@p.iam.gserviceaccount.com", ("https://www.googleapis.com/auth/cloud-platform",))
APIS = {"compute": "compute/compute/v1/", "oslogin": "oslogin/", "oauth2": "oauth2/", "storage": "storage/storage/v1/"}
GCLOUD_FOLDER = "/google-cloud-sdk/bin"  # in Google's image of the Google Cloud CLI
LOG_SECONDS = 1.0
PACKER = """#!/bin/sh
if [ "$1 $2" = "plugins install" ]; then
    [ "$({plugin} describe | sed 's/.*"version":"\\([^"]*\\)".*/v\\1/')" = "$4" ] || exit 1
    exec {packer} plugins install --path {plugin} "$3"
fi
exec {packer} "$@"
"""


@dataclass
class Worker:
    """Runs the builds of ``cloud``, whose address is ``url``. All files lie in ``folder``."""

    cloud: Cloud
    url: str
    folder: Path
    packer: Path
    plugin: Path
    relay: iap.Address
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.programs = self.folder / "programs"
        self.programs.mkdir(parents=True)
        (self.folder / "token").write_text(TOKEN)
        self.cloud.tokens[TOKEN] = ACCOUNT
        words = {name: shlex.quote(str(file)) for name, file in (("packer", self.packer), ("plugin", self.plugin))}
        self._program("packer", PACKER.format(**words))
        gcloud = shutil.which("gcloud")
        assert gcloud, "there is no gcloud, which Packer's tunnel is made by"
        environment = iap.gcloud_environment(self.url, self.folder) | self.relay.environment()
        known = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
        self._program("gcloud", f'#!/bin/sh\n{known}exec {gcloud} "$@" --iap-tunnel-url-override={self.relay.url}\n')
        self.cloud.worker = self

    def _program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(stat.S_IRWXU)

    def submit(self, build: Json) -> None:
        """Begin a build."""
        threading.Thread(target=self._run, args=(build,), daemon=True).start()

    def stop(self) -> None:
        """End what runs."""
        for one in self.running:
            if one.poll() is None:
                os.killpg(one.pid, signal.SIGKILL)

    def _run(self, build: Json) -> None:
        log = ["FETCHSOURCE"]
        workspace = self.folder / build["id"]
        with self.cloud.lock:
            build |= {"status": "WORKING", "startTime": rfc3339(time.time())}
        course = Course(status="INTERNAL_ERROR", makes_image=False)
        try:
            self._fetch(build, workspace)
            course = Course(makes_image=False)
            for number, step in enumerate(build["steps"]):
                if code := self._step(build, number, workspace, log):
                    detail = f'build step {number} "{step["name"]}" failed: step exited with non-zero status: {code}'
                    course = Course(status="FAILURE", detail=f"Build step failure: {detail}", makes_image=False)
                    break
        finally:
            course.log = tuple(log)
            with self.cloud.lock:
                builds.finish(self.cloud, build, course)

    def _fetch(self, build: Json, workspace: Path) -> None:
        """Unpack the source, and tell its templates where Google is and which token to use."""
        source = build["source"]["storageSource"]
        content = self.cloud.media[f"storage/storage/v1/b/{source['bucket']}/o/{source['object']}"]
        workspace.mkdir()
        subprocess.run(["tar", "-xzf", "-"], input=content, cwd=workspace, check=True)
        here = {"custom_endpoints": {name: f"{self.url}/{path}" for name, path in APIS.items()}, "access_token": TOKEN}
        for file in workspace.rglob("packer.json"):
            template = json.loads(file.read_text())
            template["builders"] = [{**builder, **here} for builder in template["builders"]]
            file.write_text(json.dumps(template))

    def _step(self, build: Json, number: int, workspace: Path, log: list[str]) -> int:
        """Run one step; return its exit code."""
        step = build["steps"][number]
        values = {"PROJECT_ID": build["projectId"], "BUILD_ID": build["id"], **build.get("substitutions", {})}

        def filled(text: str) -> str:
            there = text.replace("/workspace", str(workspace)).replace(GCLOUD_FOLDER, str(self.programs))
            return substituted(there, values)

        own = dict(filled(entry).split("=", 1) for entry in step.get("env", []))
        running = subprocess.Popen(
            [filled(word) for word in (step["entrypoint"], *step.get("args", []))],
            cwd=workspace,
            env={"PATH": f"{self.programs}:/usr/bin:/bin", "HOME": str(self.folder), **own},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.running.append(running)
        written = 0.0
        with running:
            assert running.stdout is not None
            for line in running.stdout:
                log.append(f'Step #{number} - "{step.get("id", number)}": {line.rstrip()}')
                if time.monotonic() > written + LOG_SECONDS:
                    with self.cloud.lock:
                        builds.write_log(self.cloud, build, tuple(log))
                    written = time.monotonic()
        return running.returncode


def substituted(text: str, values: Mapping[str, str]) -> str:
    """The text with its ``$NAME`` and ``${NAME}``; with ALLOW_LOOSE, one without a value is empty."""
    return re.sub(r"\$\$|\$\{(\w+)\}|\$(\w+)", lambda m: "$" if m[0] == "$$" else values.get(m[1] or m[2], ""), text)
