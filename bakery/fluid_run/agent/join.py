"""The steps that make a machine part of the cluster: network, munge, user, shared home, Slurm."""

from __future__ import annotations

import base64
import contextlib
import json
import resource
import shutil
import subprocess
from pathlib import Path

from .machine import Machine
from .slurm_conf import SlurmFacts, configure_slurm, controller
from .system import (
    RunError,
    command,
    find_program,
    leave_unit,
    make_folder,
    user_exists,
    wait_for_port,
    wait_until,
    write_file,
)
from .wire import RunSpec

VERSION = "slurm-version.json"  # of the controller, in the shared home


def join(machine: Machine) -> None:
    """Run all steps and start the daemons. Raises RunError."""
    leave_unit()
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    configure_network(machine)
    if machine.production:
        from . import production  # no other machine needs it, and an emulated one takes its time to load it

        production.check_image(machine)
    start_munge(machine)
    make_user(machine)
    facts = production.configure(machine) if machine.production else configure_slurm(machine.run_spec, machine.facts)
    if machine.me["role"] == "controller":
        if machine.production:
            production.prepare_controller(machine, facts)
        machine.start("slurmctld", find_program("slurmctld"), "-D", user=facts.user)
        make_folder(machine.shared, "root", 0o755)
        write_file(machine.shared / VERSION, json.dumps(facts.version))
        if len(machine.run_spec["machines"]) > 1:
            export(machine)
    else:
        mount(machine)
        check_version(machine, facts)
    if machine.me.get("partition"):
        check_gpus(machine)
        # A slurmd that cannot reach the controller when it starts waits long before it tries again.
        wait_for_port(controller(machine.run_spec)["address"], 6817, machine.run_spec["start_seconds"])
        # -b: the machine has just booted. Slurm looks whether a node that it resumes has, and a machine that continued
        # from a boot snapshot would have been up before.
        machine.start("slurmd", find_program("slurmd"), "-D", *(["-b"] if machine.production else []))
    machine.reporter.log("joined")


def hosts_file(run_spec: RunSpec, before: str = "") -> str:
    """Return ``/etc/hosts`` with every machine; link-local entries (the metadata server, RFC 3927) are kept."""
    kept = [line for line in before.splitlines() if line.startswith("169.254.")]
    lines = [f"{machine['address']} {machine['name']}" for machine in run_spec["machines"]]
    return "\n".join(["127.0.0.1 localhost", "::1 localhost ip6-localhost", *kept, *lines]) + "\n"


def configure_network(machine: Machine) -> None:
    """Set host name and hosts, and the address of the cluster's network card if the run specification has a MAC."""
    Path("/proc/sys/kernel/hostname").write_text(machine.me["name"], encoding="ascii")
    hosts = Path("/etc/hosts")
    write_file(hosts, hosts_file(machine.run_spec, hosts.read_text(encoding="utf-8") if hosts.exists() else ""))
    command("ip", "link", "set", "lo", "up")
    mac = machine.me.get("mac")
    if not mac:
        return
    for _ in wait_until(f"a network card {mac}", 60, 0.1):
        cards = [card for card in Path("/sys/class/net").iterdir() if (card / "address").is_file()]
        names = [card.name for card in cards if (card / "address").read_text().strip() == mac]
        if names:
            break
        command("modprobe", "virtio_net", check=False)
    command("ip", "address", "add", f"{machine.me['address']}/{machine.run_spec['prefix']}", "dev", names[0])
    command("ip", "link", "set", names[0], "up")


def start_munge(machine: Machine) -> None:
    """Start munged with the cluster's key."""
    owner = "munge" if user_exists("munge") else "root"
    for path in ("/etc/munge", "/var/lib/munge", "/var/log/munge"):
        make_folder(Path(path), owner, 0o700)
    make_folder(Path("/run/munge"), owner)
    write_file(Path("/etc/munge/munge.key"), base64.b64decode(machine.run_spec["munge_key"]), 0o400, owner)
    machine.start("munged", find_program("munged"), "--foreground", "--force", user=owner)


def make_user(machine: Machine) -> None:
    """Make the ordinary user that runs the jobs, with the same number on every machine."""
    if user_exists(machine.user):
        return
    uid = machine.run_spec["user"]["uid"]
    for file, line in (
        ("/etc/group", f"{machine.user}:x:{uid}:"),
        ("/etc/passwd", f"{machine.user}:x:{uid}:{uid}:Fluid-Run:{machine.home}:/bin/bash"),
        ("/etc/shadow", f"{machine.user}:!:19000:0:99999:7:::"),
    ):
        with Path(file).open("a", encoding="utf-8") as sink:
            sink.write(line + "\n")
    make_folder(machine.home, machine.user, 0o750)


def shared_folders(machine: Machine) -> tuple[Path, ...]:
    """Return the folders of the controller that all machines have."""
    return (Path("/home"), Path("/apps")) if machine.production else (machine.home,)


def export(machine: Machine) -> None:
    """Serve the shared folders over NFS 4 to the cluster's machines, whatever their addresses are."""
    if not Path("/proc/fs/nfsd").is_dir():
        command("modprobe", "nfsd")
    if not Path("/proc/fs/nfsd/threads").exists():
        command("mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd")
    Path("/var/lib/nfs/v4recovery").mkdir(parents=True, exist_ok=True)
    others = [entry["address"] for entry in machine.run_spec["machines"] if entry != machine.me]
    machine.start("mountd", find_program("rpc.mountd"), "--foreground", "--no-nfs-version", "3")
    for number, folder in enumerate(shared_folders(machine), 77):
        folder.mkdir(exist_ok=True)
        options = f"rw,async,no_root_squash,no_subtree_check,insecure,fsid={number}"
        command(find_program("exportfs"), "-i", "-o", options, *(f"{address}:{folder}" for address in others))
    command(find_program("rpc.nfsd"), "--no-nfs-version", "3", "--grace-time", "10", "--lease-time", "10", "4")
    with contextlib.suppress(OSError):  # a new server has no clients that could reclaim locks
        Path("/proc/fs/nfsd/v4_end_grace").write_text("Y", encoding="ascii")


def mount(machine: Machine) -> None:
    """Mount the controller's shared folders. Raises RunError."""
    head = controller(machine.run_spec)["address"]
    seconds = machine.run_spec["start_seconds"]
    find_program("mount.nfs")
    wait_for_port(head, 2049, seconds)
    for folder in shared_folders(machine):
        folder.mkdir(exist_ok=True)
        source = f"{head}:{folder}"
        for _ in wait_until(f"a mount of {source}", seconds, 1):
            done = subprocess.run(
                ["mount", "-t", "nfs4", "-o", "vers=4.2,actimeo=1,noatime", source, str(folder)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                break
            machine.reporter.log(f"mount: {done.stderr.strip()}")


def check_version(machine: Machine, facts: SlurmFacts) -> None:
    """Check that this machine's Slurm is not newer than the controller's, as in an upgrade. Raises RunError.

    slurmctld refuses newer daemons. Source: https://slurm.schedmd.com/upgrades.html, 2026-11-30.
    """
    file = machine.shared / VERSION
    for _ in wait_until(f"{file} of the controller", machine.run_spec["start_seconds"]):
        if file.exists():
            break
    known = tuple(json.loads(file.read_bytes()))
    if facts.version > known:
        mine, heads = (f"{major}.{minor:02}" for major, minor in (facts.version, known))
        raise RunError(
            f"Slurm {mine} on {machine.me['name']} is newer than {heads} on the controller, which refuses its nodes:"
            " upgrade controllers first",
            blame="image",
        )


def check_gpus(machine: Machine) -> None:
    """Check that the driver has made the devices that ``gres.conf`` names: slurmd ends if one is missing."""
    if not machine.me.get("gpus"):
        return
    command("nvidia-smi" if shutil.which("nvidia-smi") else "true", check=False)  # makes the devices
    if not Path(f"/dev/nvidia{machine.me['gpus'] - 1}").exists():
        raise RunError("the image has no NVIDIA driver that finds the machine's GPUs", blame="image")
