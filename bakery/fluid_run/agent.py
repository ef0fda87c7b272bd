"""The agent of a Fluid-Run: makes a Slurm cluster out of machines, runs the jobs, brings the results back.

One file that needs nothing but the standard library of Python 3.9, so that it runs on any image. Every machine of a
cluster starts it with the same *course* (a JSON file, see docs/fluid-run.md) and its own name. The controller
configures and starts Slurm, submits, waits and collects; login and compute machines join and keep their logs up to
date. What the agent says and what it found goes to an :class:`Outlet`: a raw disk for local machines, a folder
elsewhere.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import io
import json
import math
import os
import pwd
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

TYPE_CHECKING = False  # as typing has it: on an emulated machine the import alone takes half a second
if TYPE_CHECKING:
    from typing import Any, Protocol

    Course = Mapping[str, Any]

STATE = Path("/var/lib/fluid-run")
LOGS = Path("/var/log/fluid-run")
RESULTS_NAME = "agent-results.json"
SHARED = ".fluid-run"  # folder below the shared home through which the machines talk
SLOT = 32 * 1024  # bytes of each of the two status slots at the start of the out disk
RESULTS_AT = 2 * SLOT  # where the tar of results begins
FILE_LIMIT = 16 * 1024 * 1024  # larger output files stay behind, but for the end of these:
STREAMS = frozenset(("stdout", "stderr"))
TOTAL_LIMIT = 256 * 1024 * 1024  # all output files together
FAREWELL_SECONDS = 60.0  # for the controller to bring back what there is when another machine broke
NOT_RUN = 999  # rcc-run's exit code of a job that has none
TIMED_OUT = 124  # as timeout(1) says it
DONE = frozenset(
    ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT")
)
LOST = frozenset(("BOOT_FAIL", "NODE_FAIL"))  # ends that are not the job's fault


class Broken(Exception):
    """The run can't go on. ``blame`` is "image" when every cluster from this image would break so."""

    def __init__(self, message: str, blame: str = "infrastructure") -> None:
        super().__init__(message)
        self.blame = blame


# Talking to the host -------------------------------------------------------------------------------------------------


if TYPE_CHECKING:

    class Outlet(Protocol):
        """Where status and results go."""

        def status(self, content: Mapping[str, Any]) -> None:
            """Replace the status."""

        def results(self, members: Iterable[tuple[str, Path | bytes]]) -> None:
            """Replace the results: names and what is in them."""


def record(sequence: int, content: Mapping[str, Any]) -> bytes:
    """A status as it stands on the disk: a head line with sequence number, length and SHA-256, then JSON."""
    body = json.dumps(content).encode()
    return f"FLUIDRUN1 {sequence} {len(body)} {hashlib.sha256(body).hexdigest()}\n".encode() + body


def read_record(slot: bytes) -> tuple[int, dict[str, Any]] | None:
    """Sequence number and status of a slot; None when it is empty or half written."""
    head, _, rest = slot.partition(b"\n")
    words = head.split()
    if len(words) != 4 or words[0] != b"FLUIDRUN1":
        return None
    body = rest[: int(words[2])]
    if hashlib.sha256(body).hexdigest().encode() != words[3]:
        return None
    return int(words[1]), json.loads(body)


def put(file: Path, content: bytes) -> None:
    """Write a file in one step, so that nobody reads a part."""
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(content)
    part.replace(file)


def ending(file: Path, limit: int) -> bytes:
    """The last ``limit`` bytes of a file, however fast it grows."""
    with file.open("rb") as source:
        source.seek(max(0, os.fstat(source.fileno()).st_size - limit))
        return source.read(limit)


def write_tar(sink: Any, members: Iterable[tuple[str, Path | bytes]]) -> None:
    """Write a ustar of files (their last 16 MiB) and texts; a file that is gone or grows meanwhile does no harm."""
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            try:
                data = content if isinstance(content, bytes) else ending(content, FILE_LIMIT)
            except OSError as error:
                data = f"could not be read: {error}\n".encode()
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), 0o644, int(time.time())
            tar.addfile(info, io.BytesIO(data))


class DiskOutlet:
    """A raw disk that the host reads while it is written: two status slots in turn, then a tar."""

    def __init__(self, device: Path) -> None:
        self.device = device
        self.sequence = 0

    def status(self, content: Mapping[str, Any]) -> None:
        """Write into the slot that does not hold the newest status, so that one of them is always whole."""
        self.sequence += 1
        with self.device.open("r+b") as disk:
            disk.seek(SLOT * (self.sequence % 2))
            disk.write(record(self.sequence, content).ljust(4096))
            disk.flush()
            os.fsync(disk.fileno())

    def results(self, members: Iterable[tuple[str, Path | bytes]]) -> None:
        """Write the tar behind the slots."""
        with self.device.open("r+b") as disk:
            disk.seek(RESULTS_AT)
            write_tar(disk, members)
            disk.flush()
            os.fsync(disk.fileno())


class FolderOutlet:
    """A folder with ``status.json`` and ``results.tar``, each replaced in one step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def status(self, content: Mapping[str, Any]) -> None:
        """Replace ``status.json``."""
        put(self.folder / "status.json", json.dumps(content).encode())

    def results(self, members: Iterable[tuple[str, Path | bytes]]) -> None:
        """Replace ``results.tar``."""
        buffer = io.BytesIO()
        write_tar(buffer, members)
        put(self.folder / "results.tar", buffer.getvalue())


class Reporter:
    """Keeps the status whole and sends it when something changed; log lines go to the console and a file."""

    def __init__(self, outlet: Outlet, name: str, logs: Path = LOGS) -> None:
        self.outlet = outlet
        self.logs = logs
        self.found: list[tuple[str, Path | bytes]] = []  # results beside the logs
        self.values: dict[str, Any] = {"machine": name, "stage": "start", "ended": False, "error": "", "blame": ""}
        logs.mkdir(parents=True, exist_ok=True)

    def set(self, **values: Any) -> None:
        """Change the status, and send it if that changed anything."""
        changed = {key: value for key, value in values.items() if self.values.get(key, self) != value}
        if changed:
            self.values.update(changed)
            self.outlet.status(self.values)

    def log(self, text: str) -> None:
        """One line with the time since the machine started."""
        line = f"[{time.monotonic():8.1f}] {text}"
        print(line, flush=True)
        # A job may have filled the disk.
        with contextlib.suppress(OSError), (self.logs / "agent.log").open("a", encoding="utf-8") as sink:
            sink.write(line + "\n")

    def deliver(self) -> None:
        """Send the results as they are: what was found, and the log files."""
        logs = [(f"logs/{file.name}", file) for file in sorted(self.logs.iterdir()) if file.is_file()]
        self.outlet.results([*self.found, *logs])


# Small tools ---------------------------------------------------------------------------------------------------------


def command(*words: str, check: bool = True) -> str:
    """Output of a command; raises Broken with its last words."""
    done = subprocess.run(words, capture_output=True, check=False, text=True, errors="replace")
    if check and done.returncode:
        raise Broken(f"{shlex.join(words)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def program(name: str) -> str:
    """The path of a program that the image must have."""
    found = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/slurm/sbin")
    if found is None:
        raise Broken(f"the image has no {name}, install it in the recipe", blame="image")
    return found


def wait_until(what: str, seconds: float, step: float = 0.3) -> Iterator[None]:
    """Yield until the caller breaks; raises Broken when that takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() > deadline:
            raise Broken(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(step)


def wait_for_port(host: str, port: int, seconds: float) -> None:
    """Wait until somebody listens there."""
    for _ in wait_until(f"an answer of {host}:{port}", seconds):
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=5):
            return


def write(path: Path, content: str | bytes, mode: int = 0o644, owner: str = "") -> None:
    """Write a file with its folders, mode and owner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    if owner:
        shutil.chown(path, owner, owner)


def folder(path: Path, owner: str, mode: int = 0o755) -> None:
    """Make a folder that belongs to somebody."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    shutil.chown(path, owner)


def leave_unit(root: Path = Path("/sys/fs/cgroup")) -> None:
    """Move into a control group of our own, with all that is started from here.

    When a job runs out of memory, systemd ends the whole unit that it is in (OOMPolicy=, systemd.service(5)): without
    this the agent and Slurm. Where groups are of version 1, systemd does no such thing, and the folder can't be made.
    """
    with contextlib.suppress(OSError):
        place = root / "fluid-run"
        place.mkdir(exist_ok=True)
        (place / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")


def known_user(name: str) -> bool:
    """Whether the image has that user."""
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


# Slurm's configuration -----------------------------------------------------------------------------------------------


class SlurmFacts:
    """What the image's Slurm is: its version, its user, and whether it can start PMIx ranks."""

    def __init__(self, version: tuple[int, int], user: str, pmix: bool) -> None:
        self.version = version
        self.user = user
        self.pmix = pmix


def slurm_facts() -> SlurmFacts:
    """Look at the image."""
    # The daemons tell their version without a configuration, the clients don't.
    daemon = next((path for path in map(shutil.which, ("slurmd", "slurmctld")) if path), None) or program("slurmd")
    found = re.search(r"(\d+)\.(\d+)", command(daemon, "-V"))
    if found is None:
        raise Broken(f"{daemon} does not tell its version", blame="image")
    places = ("usr/lib/*/slurm*", "usr/lib64/slurm", "usr/local/lib/slurm", "opt/slurm/lib/slurm")
    pmix = any(True for place in places for _ in Path("/").glob(f"{place}/mpi_pmix*.so"))
    return SlurmFacts((int(found[1]), int(found[2])), "slurm" if known_user("slurm") else "root", pmix)


def computes(course: Course) -> list[Mapping[str, Any]]:
    """The machines that run jobs; without compute machines the controller is one."""
    return [machine for machine in course["machines"] if machine.get("partition")]


def controller(course: Course) -> Mapping[str, Any]:
    """The controller."""
    found: Mapping[str, Any] = next(machine for machine in course["machines"] if machine["role"] == "controller")
    return found


def slurm_conf(course: Course, facts: SlurmFacts) -> str:
    """``slurm.conf`` of the cluster; options as in slurm.conf(5), the choice of them measured with Slurm 22.05."""
    head = controller(course)
    lines = [
        f"ClusterName={course['cluster']}",
        f"SlurmctldHost={head['name']}({head['address']})",
        f"SlurmUser={facts.user}",
        "AuthType=auth/munge",
        f"MpiDefault={'pmix' if facts.pmix else 'none'}",
        "ProctrackType=proctrack/linuxproc",  # cgroups would need dbus, which an image need not run
        "TaskPlugin=task/none",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_CPU",
        "SlurmdParameters=config_overrides",  # a machine may have fewer processors than its partition promises
        "JobAcctGatherType=jobacct_gather/linux",
        "ReturnToService=2",
        "EnforcePartLimits=ALL",  # more nodes than there are is refused, not waited for
        "MessageTimeout=60",
        "SlurmdTimeout=60",
        "KillWait=5",
        "MinJobAge=86400",  # finished jobs stay visible to scontrol
        "PropagateResourceLimits=NONE",
        "SchedulerParameters=batch_sched_delay=0,sched_interval=5",
        f"StateSaveLocation={STATE}/slurmctld",
        f"SlurmdSpoolDir={STATE}/slurmd",
        f"SlurmctldPidFile={STATE}/slurmctld/slurmctld.pid",
        f"SlurmdPidFile={STATE}/slurmd/slurmd.pid",
        f"SlurmctldLogFile={LOGS}/slurmctld.log",
        f"SlurmdLogFile={LOGS}/slurmd.log",
    ]
    if any(machine.get("gpus") for machine in computes(course)):
        lines.append("GresTypes=gpu")
    for machine in computes(course):
        lines.append(
            f"NodeName={machine['name']} NodeAddr={machine['address']} CPUs={machine['cpus']}"
            f" RealMemory={machine['memory_mb']}{gres(machine)} State=UNKNOWN"
        )
    partitions: dict[str, list[str]] = {}
    for machine in computes(course):
        partitions.setdefault(machine["partition"], []).append(machine["name"])
    for number, (name, nodes) in enumerate(partitions.items()):
        default = "YES" if number == 0 else "NO"
        lines.append(f"PartitionName={name} Nodes={','.join(nodes)} Default={default} MaxTime=INFINITE State=UP")
    return "\n".join(lines) + "\n"


def gres(machine: Mapping[str, Any]) -> str:
    """A node's GPUs in ``slurm.conf``."""
    return f" Gres=gpu:{machine['gpus']}" if machine.get("gpus") else ""


def gres_conf(course: Course) -> str:
    """``gres.conf``: which devices the GPUs are, gres.conf(5); empty without any."""
    lines = []
    for machine in computes(course):
        last = int(machine.get("gpus") or 0) - 1
        if last >= 0:
            devices = "/dev/nvidia0" if last == 0 else f"/dev/nvidia[0-{last}]"
            lines.append(f"NodeName={machine['name']} Name=gpu File={devices}\n")
    return "".join(lines)


def hosts_file(course: Course, before: str = "") -> str:
    """``/etc/hosts`` of every machine; the metadata server's line (RFC 3927) stays as it was before."""
    kept = [line for line in before.splitlines() if line.startswith("169.254.")]
    lines = [f"{machine['address']} {machine['name']}" for machine in course["machines"]]
    return "\n".join(["127.0.0.1 localhost", "::1 localhost ip6-localhost", *kept, *lines]) + "\n"


def configure_slurm(course: Course) -> SlurmFacts:
    """Write Slurm's files and folders on this machine."""
    facts = slurm_facts()
    places = [Path("/etc/slurm"), Path("/usr/local/etc/slurm"), Path("/opt/slurm/etc")]
    etc = next((place for place in places if place.is_dir()), places[0])
    write(etc / "slurm.conf", slurm_conf(course, facts))
    if facts.version >= (22, 5):
        # Slurm's cgroup plugin would ask systemd over dbus, and slurmd ends when nobody answers.
        write(etc / "cgroup.conf", "CgroupPlugin=cgroup/v2\nIgnoreSystemd=yes\n")
    if gres_conf(course):
        write(etc / "gres.conf", gres_conf(course))
    os.environ["SLURM_CONF"] = str(etc / "slurm.conf")
    folder(STATE, "root")
    folder(STATE / "slurmctld", facts.user)
    folder(STATE / "slurmd", "root")
    folder(LOGS, facts.user)
    return facts


# Making a machine part of the cluster --------------------------------------------------------------------------------


class Machine:
    """This machine. The daemons are the image's own, started directly: their units wait for the image's own idea of a
    network, which the cluster's is not."""

    def __init__(self, course: Course, name: str, reporter: Reporter) -> None:
        self.course = course
        self.me: Mapping[str, Any] = next(machine for machine in course["machines"] if machine["name"] == name)
        self.reporter = reporter
        self.user = course["user"]["name"]
        self.home = Path("/home") / self.user
        self.shared = self.home / SHARED
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *words: str, user: str = "root") -> None:
        """Start a daemon in the foreground; what it prints goes to a log of its own."""
        self.reporter.log(f"start {shlex.join(words)}")
        entry = pwd.getpwnam(user)
        with (self.reporter.logs / f"{name}.out.log").open("ab") as sink:
            self.daemons[name] = subprocess.Popen(
                words, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, user=entry.pw_uid, group=entry.pw_gid
            )

    def check_daemons(self) -> None:
        """Raise Broken when a daemon has ended."""
        for name, process in self.daemons.items():
            if process.poll() is not None:
                raise Broken(f"{name} on {self.me['name']} ended with {process.returncode}", blame="image")

    def check(self) -> None:
        """Raise Broken when the cluster can't go on: a daemon here has ended, or another machine said farewell."""
        self.check_daemons()
        for file in self.shared.glob("*.broken"):
            raise Broken(*json.loads(file.read_bytes()))

    def farewell(self, error: Broken) -> None:
        """Tell the controller why this machine ends, and give it time to bring back what there is."""
        with contextlib.suppress(OSError):
            put(self.shared / f"{self.me['name']}.broken", json.dumps([str(error), error.blame]).encode())
        deadline = time.monotonic() + FAREWELL_SECONDS
        while not (self.shared / "ended").exists() and time.monotonic() < deadline:
            time.sleep(0.5)

    def network(self) -> None:
        """Give the cluster's card its address; without a ``mac`` in the course the network is there already."""
        Path("/proc/sys/kernel/hostname").write_text(self.me["name"], encoding="ascii")
        hosts = Path("/etc/hosts")
        write(hosts, hosts_file(self.course, hosts.read_text(encoding="utf-8") if hosts.exists() else ""))
        command("ip", "link", "set", "lo", "up")
        if not self.me.get("mac"):
            return
        for _ in wait_until(f"a network card {self.me['mac']}", 60, 0.1):
            cards = [card for card in Path("/sys/class/net").iterdir() if (card / "address").is_file()]
            named = [card.name for card in cards if (card / "address").read_text().strip() == self.me["mac"]]
            if named:
                break
            command("modprobe", "virtio_net", check=False)
        command("ip", "address", "add", f"{self.me['address']}/{self.course['prefix']}", "dev", named[0])
        command("ip", "link", "set", named[0], "up")

    def munge(self) -> None:
        """Start munged with the cluster's key."""
        owner = "munge" if known_user("munge") else "root"
        for path, mode in (("/etc/munge", 0o700), ("/var/lib/munge", 0o700), ("/var/log/munge", 0o700)):
            folder(Path(path), owner, mode)
        folder(Path("/run/munge"), owner)
        write(Path("/etc/munge/munge.key"), base64.b64decode(self.course["munge_key"]), 0o400, owner)
        self.start("munged", program("munged"), "--foreground", "--force", user=owner)

    def make_user(self) -> None:
        """The ordinary user that the jobs run as; the same number everywhere."""
        if known_user(self.user):
            return
        uid = self.course["user"]["uid"]
        for file, line in (
            ("/etc/group", f"{self.user}:x:{uid}:"),
            ("/etc/passwd", f"{self.user}:x:{uid}:{uid}:Fluid-Run:{self.home}:/bin/bash"),
            ("/etc/shadow", f"{self.user}:!:19000:0:99999:7:::"),
        ):
            with Path(file).open("a", encoding="utf-8") as sink:
                sink.write(line + "\n")
        folder(self.home, self.user, 0o750)

    def export_home(self) -> None:
        """Serve the home over NFS 4 to the cluster's machines, wherever their addresses lie."""
        folder(self.shared, "root", 0o755)
        if not Path("/proc/fs/nfsd").is_dir():
            command("modprobe", "nfsd")
        if not Path("/proc/fs/nfsd/threads").exists():
            command("mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd")
        Path("/var/lib/nfs/v4recovery").mkdir(parents=True, exist_ok=True)
        to = [f"{machine['address']}:{self.home}" for machine in self.course["machines"] if machine != self.me]
        options = "rw,async,no_root_squash,no_subtree_check,insecure,fsid=77"
        self.start("mountd", program("rpc.mountd"), "--foreground", "--no-nfs-version", "3")
        command(program("exportfs"), "-i", "-o", options, *to)
        command(program("rpc.nfsd"), "--no-nfs-version", "3", "--grace-time", "10", "--lease-time", "10", "4")
        with contextlib.suppress(OSError):  # nobody has anything to reclaim from a server that is new
            Path("/proc/fs/nfsd/v4_end_grace").write_text("Y", encoding="ascii")

    def mount_home(self) -> None:
        """Mount the controller's home."""
        head = controller(self.course)["address"]
        seconds = self.course["start_seconds"]
        program("mount.nfs")
        wait_for_port(head, 2049, seconds)
        source = f"{head}:{self.home}"
        for _ in wait_until(f"a mount of {source}", seconds, 1):
            done = subprocess.run(
                ["mount", "-t", "nfs4", "-o", "vers=4.2,actimeo=1,noatime", source, str(self.home)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                return
            self.reporter.log(f"mount: {done.stderr.strip()}")

    def join(self) -> None:
        """All steps that make this machine a part of the cluster, daemons included."""
        leave_unit()
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.network()
        self.munge()
        self.make_user()
        facts = configure_slurm(self.course)
        head = self.me["role"] == "controller"
        if head:
            self.start("slurmctld", program("slurmctld"), "-D", user=facts.user)
            if len(self.course["machines"]) > 1:
                self.export_home()
            else:
                folder(self.shared, "root", 0o755)
        else:
            self.mount_home()
        if self.me.get("partition"):
            self.gpus()
            # A slurmd that can't reach the controller at its start tries again only much later.
            wait_for_port(controller(self.course)["address"], 6817, self.course["start_seconds"])
            self.start("slurmd", program("slurmd"), "-D")
        self.reporter.log("joined")

    def gpus(self) -> None:
        """See that the driver has made the devices that ``gres.conf`` names: slurmd ends when one is missing."""
        if not self.me.get("gpus"):
            return
        command("nvidia-smi" if shutil.which("nvidia-smi") else "true", check=False)  # it makes them
        if not Path(f"/dev/nvidia{self.me['gpus'] - 1}").exists():
            raise Broken("the image has no NVIDIA driver that finds the machine's GPUs", blame="image")

    def attend(self) -> None:
        """Compute and login machines: say that they are there, watch memory and logs until the controller is done."""
        if self.me["role"] == "login":
            for _ in wait_until("an answer of slurmctld", self.course["start_seconds"], 1):
                if command("sinfo", "--noheader", check=False):
                    break
        write(self.shared / f"ready-{self.me['name']}", "")
        self.reporter.set(stage="run", ready=True)
        watch = MemoryWatch(self.course["user"]["uid"])
        sizes = 0
        while not (self.shared / "ended").exists():
            self.check_daemons()
            if watch.look():
                watch.save(self.shared / f"memory-{self.me['name']}.json")
            now = sum(file.stat().st_size for file in self.reporter.logs.iterdir())
            if now != sizes:
                self.reporter.deliver()
                sizes = now
            time.sleep(1)


class MemoryWatch:
    """Peak memory of jobs on one machine, without accounting: looks at the user's processes once a second.

    A job's figure is the largest sum of its processes' resident memory that was seen, and at least the kernel's
    high-water mark (VmHWM, proc(5)) of its largest process, which a look at any time of its life finds.
    """

    def __init__(self, uid: int, proc: Path = Path("/proc")) -> None:
        self.uid = uid
        self.proc = proc
        self.peaks: dict[str, int] = {}  # job to KiB
        self.jobs: dict[int, str] = {}  # process to job

    def _job(self, process: Path) -> str:
        """The job of a process, from its environment; asked once, as it does not change."""
        pid = int(process.name)
        if not self.jobs.get(pid):
            found = re.search(rb"(?:^|\0)SLURM_JOB_ID=(\d+)", (process / "environ").read_bytes())
            self.jobs[pid] = found[1].decode() if found else ""
        return self.jobs[pid]

    def look(self) -> bool:
        """Look once; says whether a peak grew."""
        sums: dict[str, int] = {}
        marks: dict[str, int] = {}
        for process in self.proc.iterdir():
            with contextlib.suppress(OSError, ValueError):
                if not process.name.isdigit() or process.stat().st_uid != self.uid:
                    continue
                job = self._job(process)
                status = (process / "status").read_text(encoding="ascii", errors="replace")
                figures = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.MULTILINE))
                sums[job] = sums.get(job, 0) + int(figures.get("VmRSS", 0))
                marks[job] = max(marks.get(job, 0), int(figures.get("VmHWM", 0)))
        before = dict(self.peaks)
        for job, total in sums.items():
            if job:
                self.peaks[job] = max(self.peaks.get(job, 0), total, marks[job])
        return self.peaks != before

    def save(self, file: Path) -> None:
        """Write the peaks, unless a job has filled the disk."""
        with contextlib.suppress(OSError):
            put(file, json.dumps(self.peaks).encode())


# Jobs ----------------------------------------------------------------------------------------------------------------


def parse_jobs(text: str) -> dict[str, dict[str, str]]:
    """``scontrol --oneliner show job`` as job number to its fields."""
    found = {}
    for line in text.splitlines():
        fields = dict(re.findall(r"(?:^|\s)([A-Za-z/:]+)=(\S*)", line))
        if "JobId" in fields:
            found[fields["JobId"]] = fields
    return found


def seconds_of(text: str) -> float:
    """Slurm's ``[days-]hours:minutes:seconds`` in seconds; 0 for what is none."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", text)
    if not found:
        return 0.0
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def exit_code(state: str, code: str) -> int:
    """One number from Slurm's state and ``code:signal``: 0 only for a job that completed with 0."""
    main, _, signal = code.partition(":")
    number = int(main or 0) or (128 + int(signal) if signal not in ("", "0") else 0)
    if state == "TIMEOUT":
        return TIMED_OUT
    if state != "COMPLETED" and number == 0:
        return NOT_RUN
    return number


class Job:
    """One job of the suite while it runs. ``result`` is what goes into ``agent-results.json``."""

    def __init__(self, index: int, spec: Mapping[str, Any]) -> None:
        self.index = index
        self.spec = spec
        self.number = ""
        self.attempt = 0
        self.done = False
        self.waits = ""  # for what, in Slurm's word
        self.cancelled = ""  # why
        self.result: dict[str, Any] = {"index": index, "state": "NOT_SUBMITTED", "exit_code": NOT_RUN, "attempts": []}

    @property
    def attempts(self) -> int:
        """How often it may be tried."""
        return int(self.spec.get("attempts") or 1)


class Queue:
    """Submits the jobs, chained within their command group as rcc-run does, and follows them.

    A job that may be tried more than once holds back what follows in its group until it is done for good: a chain by
    ``afterany`` would go on at its first failure.
    """

    def __init__(self, course: Course, workspace: Path, reporter: Reporter, user: str = "", home: str = "") -> None:
        self.course = course
        self.workspace = workspace
        self.reporter = reporter
        self.user = user
        self.home = home
        self.over = False
        self.jobs = [Job(index, spec) for index, spec in enumerate(course["jobs"])]

    def groups(self) -> dict[str, list[Job]]:
        """The jobs by command group, in file order; each one alone when the course takes no notice of groups."""
        found: dict[str, list[Job]] = {}
        for job in self.jobs:
            alone = self.course.get("ignore_dependencies")
            found.setdefault(str(job.index) if alone else job.spec["command_group"], []).append(job)
        return found

    def folder(self, job: Job) -> Path:
        """A job's output directory."""
        return self.workspace / str(job.spec["output_directory"])

    def arguments(self, job: Job, after: str) -> list[str]:
        """The words of ``sbatch``, the recipe's own options last so that they win over ours."""
        words = ["sbatch", "--parsable"]
        if after:
            words.append(f"--dependency=afterany:{after}")
        if job.spec.get("partition"):
            words.append(f"--partition={job.spec['partition']}")
        if job.spec.get("time_limit"):
            # Slurm counts in minutes; the agent itself ends the job to the second.
            words.append(f"--time={math.ceil(job.spec['time_limit'] / 60) + 1}")
        place = str(self.folder(job)).replace("%", "%%")  # sbatch would put a job's number for %j
        words += ["-o", f"{place}/stdout", "-e", f"{place}/stderr"]
        words += shlex.split(job.spec.get("batch_options") or "")
        script, *arguments = shlex.split(job.spec["execution_command"])
        return [*words, str(self.workspace / script), *arguments]

    def environment(self, job: Job) -> dict[str, str]:
        """What a job finds in its environment; WORKSPACE is its output directory, as with rcc-run."""
        base = dict(os.environ)  # of whoever this is, on a cluster that is there
        if self.user:
            base = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "SHELL": "/bin/bash"}
            base.update(HOME=self.home, USER=self.user, LOGNAME=self.user)
        if "SLURM_CONF" in os.environ:
            base["SLURM_CONF"] = os.environ["SLURM_CONF"]
        paths = {name: str(self.workspace / path) for name, path in self.course.get("env_paths", {}).items()}
        return {**base, **self.course.get("env", {}), **paths, "WORKSPACE": str(self.folder(job))}

    def submit(self, job: Job, after: str) -> None:
        """Submit one job from a login shell of the user, so that profile and modules are as for a person."""
        job.attempt += 1
        job.cancelled = ""
        place = self.folder(job)
        words = self.arguments(job, after)
        account: dict[str, Any] = {}
        try:
            place.mkdir(parents=True, exist_ok=True)
            self._keep_earlier(job, place)
            if self.user:
                entry = pwd.getpwnam(self.user)
                os.chown(place, entry.pw_uid, entry.pw_gid)
                account = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        except OSError as error:  # a file of that name, or a disk that an earlier job has filled
            self._refuse(job, f"output directory: {error.strerror}", NOT_RUN)
            return
        done = subprocess.run(
            ["/bin/bash", "-lc", 'exec "$@"', "bash", *words],
            cwd=place,
            env=self.environment(job),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
            **account,
        )
        self.reporter.log(f"{shlex.join(words)} -> {done.stdout.strip() or done.stderr.strip()}")
        if done.returncode:
            self._refuse(job, f"sbatch: {done.stderr.strip()}", done.returncode)
            return
        job.number = done.stdout.strip().splitlines()[-1].split(";")[0]
        job.result.update(state="PENDING", job_id=job.number)

    @staticmethod
    def _refuse(job: Job, reason: str, code: int) -> None:
        """A job that can't be submitted is over."""
        job.done = True
        job.result.update(state="REFUSED", exit_code=code, reason=reason)

    @staticmethod
    def _keep_earlier(job: Job, place: Path) -> None:
        """Outputs of an earlier attempt keep their number."""
        if job.attempt > 1:
            for name in ("stdout", "stderr"):
                if (place / name).exists():
                    (place / name).replace(place / f"{name}.attempt{job.attempt - 1}")

    def feed(self) -> None:
        """Submit all that may be submitted now."""
        for jobs in self.groups().values():
            after = ""
            for job in jobs:
                if not job.attempt:
                    self.submit(job, after)
                after = job.number or after
                if job.attempts > 1 and not job.done:
                    break

    def poll(self) -> None:
        """Look at the jobs once: end those over their time, take the end of the others, try again where allowed."""
        open_jobs = [job for job in self.jobs if job.number and not job.done]
        if not open_jobs:
            return
        # A cluster of our own has no other jobs; one that is there may have thousands.
        wanted = [()] if self.user else [(job.number,) for job in open_jobs]
        asked = (command("scontrol", "--oneliner", "show", "job", *words, check=False) for words in wanted)
        found = parse_jobs("".join(asked))
        for job in open_jobs:
            fields = found.get(job.number) or accounted(job.number)
            if not fields:
                continue
            state = fields.get("JobState", "")
            job.result["state"] = state
            job.waits = fields.get("Reason", "") if state == "PENDING" else ""
            limit = job.spec.get("time_limit")
            if state == "RUNNING" and limit and seconds_of(fields.get("RunTime", "")) > limit and not job.cancelled:
                self._end(job, f"job was over its time limit of {limit} s")
            if state in DONE:
                self._finish(job, fields, state)

    def expire(self) -> None:
        """The time of the run is over: end all that is still open, and say what each did or waited for."""
        self.over = True
        for job in self.jobs:
            if job.number and not job.done and not job.cancelled:
                state = f"{job.result['state']} {job.waits}".strip()
                self._end(job, f"job had not ended when the time of the run was over ({state})")

    def _end(self, job: Job, why: str) -> None:
        self.reporter.log(f"{job.number}: {why}")
        command("scancel", job.number, check=False)
        job.cancelled = why

    def _finish(self, job: Job, fields: Mapping[str, str], state: str) -> None:
        if job.cancelled and state == "CANCELLED":
            state = "TIMEOUT"
        code = exit_code(state, fields.get("ExitCode", ""))
        told = job.cancelled or f"job ended {state}, exit code {fields.get('ExitCode', '?')}"
        reason = told + full(self.workspace) if code else ""
        job.result.update(
            state=state,
            exit_code=code,
            reason=reason,
            lost=state in LOST,
            runtime=seconds_of(fields.get("RunTime", "")),
            node_count=int(fields.get("NumNodes", "0").split("-")[0] or 0),
            allocated_cpus=int(fields.get("NumCPUs", "0").split("-")[0] or 0),
            nodes=fields.get("NodeList", ""),
            partition=fields.get("Partition", ""),
            started=fields.get("StartTime", ""),
            ended=fields.get("EndTime", ""),
        )
        kept = ("state", "exit_code", "runtime", "job_id")
        job.result["attempts"].append({key: job.result[key] for key in kept})
        self.reporter.log(f"job {job.number} {state} {fields.get('ExitCode', '')} after {fields.get('RunTime', '?')}")
        if code and job.attempt < job.attempts and not self.over:
            self.submit(job, "")
        else:
            job.done = True

    def cancel(self) -> None:
        """End what is still in the queue."""
        numbers = [job.number for job in self.jobs if job.number and not job.done]
        if numbers:
            command("scancel", *numbers, check=False)

    @property
    def done_count(self) -> int:
        """How many jobs are done."""
        return sum(job.done for job in self.jobs)


def full(folder: Path) -> str:
    """What to add to a failed job's reason when no user can write there any more; the job itself often can't tell."""
    return "" if os.statvfs(folder).f_bavail else "; the disk of the shared home is full"


def accounted(number: str) -> dict[str, str]:
    """A job that scontrol has forgotten, from sacct, where a cluster keeps accounts; else nothing."""
    if shutil.which("sacct") is None:
        return {}
    names = ("State", "ExitCode", "Elapsed", "NNodes", "NCPUS", "NodeList", "Partition", "Start", "End")
    like = ("JobState", "ExitCode", "RunTime", "NumNodes", "NumCPUs", "NodeList", "Partition", "StartTime", "EndTime")
    text = command("sacct", "-j", number, "-X", "-n", "-P", "-o", ",".join(names), check=False).strip()
    if not text:
        return {}
    fields = dict(zip(like, text.splitlines()[0].split("|")))  # noqa: B905  Python 3.9 has no strict
    fields["JobState"] = (fields["JobState"].split() or [""])[0]
    return fields


def accounted_memory(number: str) -> float | None:
    """Peak memory of a job in GB from sacct's MaxRSS, where a cluster keeps accounts; else None."""
    if shutil.which("sacct") is None:
        return None
    text = command("sacct", "-j", number, "-n", "-P", "--units=K", "-o", "MaxRSS", check=False)
    figures = [float(found) for found in re.findall(r"^([\d.]+)K", text, re.MULTILINE)]
    return max(figures) / 1024**2 if figures else None


def memory_gb(shared: Path, number: str) -> float | None:
    """Peak memory of a job on its largest machine in GB (2**30 bytes), from what the machines' watches wrote."""
    peaks = []
    for file in shared.glob("memory-*.json"):
        with contextlib.suppress(OSError, ValueError):
            peaks.append(json.loads(file.read_text(encoding="ascii")).get(number, 0))
    best = max(peaks, default=0)
    return best / 1024**2 if best else None


# The controller's run ------------------------------------------------------------------------------------------------


def ready_names(text: str) -> set[str]:
    """The nodes that ``sinfo -h -N -o '%N %t'`` calls idle."""
    pairs = [line.split() for line in text.splitlines()]
    return {pair[0] for pair in pairs if len(pair) == 2 and pair[1] == "idle"}


def wait_for_nodes(machine: Machine) -> None:
    """Wait until every node is idle and every login machine has joined; names those that did not come."""
    course, reporter = machine.course, machine.reporter
    nodes = {entry["name"] for entry in computes(course)}
    logins = {entry["name"] for entry in course["machines"] if entry["role"] == "login"}
    deadline = time.monotonic() + course["start_seconds"]
    while True:
        machine.check()
        ready = ready_names(command("sinfo", "-h", "-N", "-o", "%N %t", check=False)) & nodes
        ready |= {name for name in logins if (machine.shared / f"ready-{name}").exists()}
        reporter.set(nodes_ready=len(ready), nodes_total=len(nodes | logins))
        missing = sorted((nodes | logins) - ready)
        if not missing:
            reporter.log("all nodes idle")
            return
        if time.monotonic() > deadline:
            raise Broken(f"{', '.join(missing)} did not come within {course['start_seconds']} s")
        time.sleep(0.5)


def stage_workspace(source: Path, target: Path, user: str) -> dict[str, tuple[int, int]]:
    """Copy the workspace into the shared home; returns size and time of each file, to know later what is new."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    if user:
        for path in (target, *target.rglob("*")):
            shutil.chown(path, user, user)
    return {str(path): stamp(path) for path in target.rglob("*") if path.is_file()}


def stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file."""
    info = path.stat()
    return info.st_size, info.st_mtime_ns


def outputs(
    workspace: Path, directories: Sequence[str], staged: Mapping[str, tuple[int, int]]
) -> tuple[list[Path], list[str]]:
    """The new files below the jobs' output directories, smallest first, and the names of those that stay behind."""
    new: dict[Path, int] = {}
    tops = (top for directory in directories for top in os.walk(workspace / directory))
    for path in (Path(top, name) for top, _, names in tops for name in names):
        with contextlib.suppress(OSError):  # what a job has left running may delete it now
            if path.is_file() and not path.is_symlink() and staged.get(str(path)) != stamp(path):
                new[path] = stamp(path)[0]
    taken, left, total = [], [], 0
    for path, size in sorted(new.items(), key=lambda item: item[1]):
        name = f"{path.relative_to(workspace)} ({size} bytes)"
        kept = min(size, FILE_LIMIT)
        if (size > kept and path.name not in STREAMS) or total + kept > TOTAL_LIMIT:
            left.append(name)
            continue
        if size > kept:
            left.append(f"the beginning of {name}")
        taken.append(path)
        total += kept
    return taken, left


def follow(queue: Queue, reporter: Reporter, check: Callable[[], None] | None, step: float = 1) -> None:
    """Submit and wait until every job is done, looking each ``step`` seconds; ``check`` raises when that is in vain."""
    reporter.set(stage="submit", jobs_total=len(queue.jobs), jobs_done=0)
    queue.feed()
    reporter.set(stage="run", jobs_done=queue.done_count)
    deadline = time.monotonic() + queue.course.get("deadline_seconds", math.inf)
    while queue.done_count < len(queue.jobs):
        time.sleep(step)
        if check:
            check()
        queue.poll()
        if time.monotonic() > deadline:
            queue.expire()
        queue.feed()
        running = [job.spec["output_directory"] for job in queue.jobs if job.result["state"] == "RUNNING"]
        reporter.set(jobs_done=queue.done_count, running=running)


def gather(queue: Queue, reporter: Reporter, staged: Mapping[str, tuple[int, int]], shared: Path) -> None:
    """Write the results: ``agent-results.json``, new output files below ``outputs/``, logs."""
    reporter.set(stage="collect")
    for job in queue.jobs:
        if not job.done:
            job.result["reason"] = f"had not ended ({job.result['state']})"
        if job.number:
            job.result["max_memory_gb"] = accounted_memory(job.number) or memory_gb(shared, job.number)
    taken, left = outputs(queue.workspace, [job.spec["output_directory"] for job in queue.jobs], staged)
    results = {"version": 1, "jobs": [job.result for job in queue.jobs], "left_out": left}
    reporter.found = [(RESULTS_NAME, json.dumps(results, indent=1).encode())]
    reporter.found += [(f"outputs/{path.relative_to(queue.workspace)}", path) for path in taken]
    reporter.deliver()


def conduct(machine: Machine, workspace: Path) -> None:
    """The controller: nodes, workspace, jobs, results."""
    wait_for_nodes(machine)
    target = machine.home / "workspace"
    staged = stage_workspace(workspace, target, machine.user)
    queue = Queue(machine.course, target, machine.reporter, machine.user, str(machine.home))
    watch = MemoryWatch(machine.course["user"]["uid"])
    try:
        if machine.me.get("partition"):
            follow_watched(queue, machine, watch)
        else:
            follow(queue, machine.reporter, machine.check)
    finally:  # a cluster that broke has results, too
        gather(queue, machine.reporter, staged, machine.shared)
        (machine.shared / "ended").touch()


def follow_watched(queue: Queue, machine: Machine, watch: MemoryWatch) -> None:
    """As :func:`follow`, on a controller that runs jobs itself and so watches their memory too."""
    import threading

    over = threading.Event()

    def look() -> None:
        while not over.wait(1):
            if watch.look():
                watch.save(machine.shared / f"memory-{machine.me['name']}.json")

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        follow(queue, machine.reporter, machine.check)
    finally:
        over.set()
        thread.join()


class Lease:
    """On a cluster that is there, a run ends when nobody has asked for it any more for ``seconds``.

    Who asks touches the file; only that its time changes counts, as clocks of file servers may be wrong.
    """

    def __init__(self, file: Path, seconds: float) -> None:
        self.file = file
        self.seconds = seconds
        self.seen = (-1, time.monotonic())

    def check(self) -> None:
        """Raise Broken when it is over."""
        touched = self.file.stat().st_mtime_ns if self.file.exists() else 0
        if touched != self.seen[0]:
            self.seen = (touched, time.monotonic())
        elif time.monotonic() - self.seen[1] > self.seconds:
            raise Broken(f"nobody asked for this run for {self.seconds:.0f} s")


def told_to_end(*_: object) -> None:
    """Raise Broken: the answer to SIGTERM, which lets the run cancel its jobs."""
    raise Broken("told to end")


def visit(course: Course, workspace: Path, reporter: Reporter) -> None:
    """The whole run on a cluster that is there, as whoever this process is; no job stays behind in any case."""
    signal.signal(signal.SIGTERM, told_to_end)
    queue = Queue(course, workspace, reporter)
    staged = {str(path): stamp(path) for path in workspace.rglob("*") if path.is_file()}
    lease = Lease(workspace.parent / "lease", course["lease_seconds"])
    try:
        follow(queue, reporter, lease.check, course["step_seconds"])
        gather(queue, reporter, staged, workspace)
    except Broken:
        shutil.rmtree(workspace, ignore_errors=True)
        raise
    finally:
        queue.cancel()


def take_part(machine: Machine, workspace: Path) -> None:
    """This machine's whole part in the run."""
    machine.join()
    if machine.me["role"] == "controller":
        conduct(machine, workspace)
        return
    try:
        machine.attend()
    except Broken as error:
        machine.farewell(error)
        raise


def serve(reporter: Reporter, part: Callable[[], None]) -> None:
    """Do a part in the run; errors go into the status, with the logs."""
    try:
        reporter.set(stage="start")
        part()
        reporter.set(ended=True)
    except Broken as error:
        reporter.log(f"broken: {error}")
        with contextlib.suppress(OSError):
            reporter.deliver()
        reporter.set(error=str(error), blame=error.blame, ended=True)
    except BaseException as error:
        reporter.log(f"the agent itself failed: {error!r}")
        said = f"the agent on {reporter.values['machine']} failed: {error!r}"
        reporter.set(error=said, blame="infrastructure", ended=True)
        raise


def main(words: Sequence[str]) -> int:
    """Parse the command line and take part."""
    parser = argparse.ArgumentParser(description="takes part in a Fluid-Run")
    parser.add_argument("--course", type=Path, required=True, help="the JSON file that all machines share")
    parser.add_argument("--name", required=True, help="which of its machines this is")
    parser.add_argument("--workspace", type=Path, required=True, help="the folder with the recipe's files")
    parser.add_argument("--disk", type=Path, help="raw disk for status and results")
    parser.add_argument("--out", type=Path, help="folder for status and results")
    parser.add_argument("--guest", action="store_true", help="the cluster is there: only submit to it, as this user")
    given = parser.parse_args(words)
    os.umask(0o022)
    outlet: Outlet = DiskOutlet(given.disk) if given.disk else FolderOutlet(given.out or Path("out"))
    course = json.loads(given.course.read_text(encoding="utf-8"))
    if given.guest:
        reporter = Reporter(outlet, given.name, given.out / "logs")
        serve(reporter, lambda: visit(course, given.workspace, reporter))
        return 0
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    machine = Machine(course, given.name, Reporter(outlet, given.name))
    serve(machine.reporter, lambda: take_part(machine, given.workspace))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
