"""Bakes in containers: what they give is what a machine gives, and nothing gets in or out of them.

Only root can bake in a container; where it is not possible, the reason is the one that the oven would log.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bakery import redaction
from bakery.codec import encode
from bakery.errors import BakeFailed, BakeryError
from bakery.orders.model import BakeOrder
from bakery.ovens.local import container, scratch
from bakery.ovens.local.oven import LocalOven
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.settings import parse
from tests.support.bake_orders import order, source
from tests.support.every import every

pytestmark = [
    pytest.mark.machines,
    pytest.mark.skipif(bool(container.lack()), reason=container.lack() or "-"),
    pytest.mark.usefixtures("machine_bake"),  # in the background: these tests leave a core to it
]
VALUES = {"local": {"cores": 1, "memoryMb": 768, "diskGb": 4, "isolation": "container"}}
WORD = "bakery-planted"

# Looks for the word, which it does not contain itself, everywhere that a careless script may look.
LOOK = """
word=bakery-pla; word=${word}nted
{
    env
    cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'
    find /sys/fs/cgroup /proc/[0-9]*/root/ /proc/[0-9]*/cwd/ -maxdepth 3
    cat /root/* /root/.[a-z]* /proc/1/root/root/.[a-z]* /dev/shm/* "$1"
    dmesg
} 2>/dev/null | grep -a "$word" | sort -u | sed 's/^/found: /'
"""
# What a careless script may do; each line is tried, whatever the others do.
TOUCH = """
mount -t devtmpfs none /mnt; cat /mnt/kmsg & sleep 0.2; kill $!
mount -t proc none /mnt && cat /mnt/[0-9]*/environ
mount -t sysfs none /mnt && find /mnt/fs
mount -t cgroup -o memory none /mnt; mount -t cgroup2 none /mnt && find /mnt -maxdepth 2
mknod /root/disk b $(stat -c '%Hd %Ld' /) && dd if=/root/disk bs=1M count=1
mknod /root/disk b 254 0 && dd if=/root/disk of=/dev/null bs=1M count=1 && echo the disk of the host was read
mknod /root/kmsg c 1 11 && timeout 1 cat /root/kmsg
/usr/sbin/sysctl -w vm.swappiness=77
echo 77 >/proc/sys/vm/swappiness
echo touched >/proc/sys/kernel/core_pattern
echo h >/proc/sysrq-trigger
echo 1 >/sys/fs/cgroup/memory/memory.force_empty
find /sys/fs/cgroup -name cgroup.procs -exec sh -c 'echo 1 >"$1"' - {} \\;
ip link add touched type dummy; ip addr add 192.0.2.1/24 dev lo
hostname touched
swapon /dev/vda; losetup -f /etc/hostname
nsenter -t 1 -a true && unshare -m true
date -s '2001-01-01'
chroot /proc/1/root cat /root/.[a-z]*
fstrim /; blockdev --flushbufs /dev/vda
"""


@pytest.fixture
def oven(tmp_path: Path) -> LocalOven:
    return LocalOven(parse(VALUES, "test", tmp_path))


def recipe(folder: Path, script: str) -> BakeOrder:
    files = (
        source(folder, "packages/app/install.sh", script, 0o755),
        source(folder, "packages/app/share/text", "some text"),
    )
    return order("app", files)


SECRET = f"licence-{uuid.uuid4().hex}"
SOURCE = {"version": "1", "environment": "BAKERY_TEST_LICENCE"}
GIVEN = """
stat -c "given: %a %U %n" /run/bakery-secrets/licence; stat -f -c "given: %T" /run/bakery-secrets
sha256sum < /run/bakery-secrets/licence; echo "said: $(cat /run/bakery-secrets/licence)"
echo "as nobody: $(setpriv --reuid=65534 --clear-groups cat /run/bakery-secrets/licence 2>&1 || true)"
"""


def with_value(folder: Path, value: str) -> list[Path]:
    """The files below a folder that have the value, in whatever place."""
    return [file for file in folder.rglob("*") if file.is_file() and value.encode() in file.read_bytes()]


def bake_with_the_secret(oven: LocalOven, folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Bake a recipe that is given the secret and runs ``GIVEN``; look for the value everywhere, and return the log."""
    monkeypatch.setattr(redaction, "_marks", {})
    monkeypatch.setenv("BAKERY_TEST_LICENCE", SECRET)
    done = oven.bake(replace(recipe(folder, script), secrets={"licence": SOURCE}), Activity())
    log = Path(str(done.log)).read_text(encoding="utf-8")
    assert "given: 400 root /run/bakery-secrets/licence" in log
    assert "given: tmpfs" in log
    assert hashlib.sha256(SECRET.encode()).hexdigest() in log, "the recipe has read it"
    assert "said: [secret secrets.licence]" in log
    assert "as nobody: cat: " in log
    assert with_value(folder, SECRET) == [], "neither image nor layers, logs and orders"
    return log


def outside() -> dict[str, object]:
    """All of this computer that a bake must not change."""
    settings = ("vm/swappiness", "kernel/core_pattern", "kernel/hostname", "net/ipv4/ip_unprivileged_port_start")
    return {
        "settings": {name: Path("/proc/sys", name).read_text() for name in settings},
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "groups": sorted(path for path, _, _ in os.walk("/sys/fs/cgroup")),
        "group owners": {path: Path(path).stat().st_uid for path, _, _ in os.walk("/sys/fs/cgroup")},
        "devices": sorted(path.name for path in Path("/dev").iterdir()),
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "loops": subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True).stdout,
        "nspawn": sorted(map(str, Path("/run/systemd/nspawn").rglob("*"))),
        "year": time.gmtime().tm_year,
    }


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Six secrets where this computer has such: two files, shared memory, environment, a process, a control group."""
    secrets = [f"{WORD}-{number}-{uuid.uuid4().hex}" for number in range(6)]
    files = [Path.home() / f".bakery-test-{secrets[0][-8:]}", tmp_path / "secret", Path("/dev/shm") / secrets[2][-8:]]
    for file, secret in zip(files, secrets, strict=False):
        file.write_text(secret)
    monkeypatch.setenv("BAKERY_TEST_SECRET", secrets[3])
    process = subprocess.Popen(["sleep", "600"], executable="/bin/sleep", env={"S": secrets[4]})
    top = next(path for path in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")) if path.is_dir())
    group = top / secrets[5]
    group.mkdir()
    yield secrets
    assert process.poll() is None, "it was ended"
    process.kill()
    process.wait()
    group.rmdir()
    for file in files:
        file.unlink()


def test_a_careless_recipe_finds_no_secret_but_its_own_and_changes_nothing(
    oven: LocalOven, planted: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = ["sh", "-c", LOOK, "sh", str(tmp_path / "secret")]
    here = subprocess.run(look, capture_output=True, check=False).stdout.decode(errors="replace")  # files of any kind
    assert every(secret in here for secret in planted), "the script finds them where they are"
    before = outside()
    script = f"#!/bin/sh\nset -- {tmp_path}/secret\n{GIVEN}\n{LOOK}\n({TOUCH}) 2>&1\n{LOOK}\necho it came to its end\n"
    log = bake_with_the_secret(oven, tmp_path, script, monkeypatch)
    assert "it came to its end" in log
    assert "no layers from provisioner 1 on: it is given a secret" in log
    assert [secret for secret in planted if secret in log] == []
    assert "the disk of the host was read" not in log
    assert outside() == before


def refuses_the_secret_in_a_file(oven: LocalOven, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bake a recipe that copies its secret into the image."""
    monkeypatch.setattr(redaction, "_marks", {})
    monkeypatch.setenv("BAKERY_TEST_LICENCE", SECRET)
    leak = 'mkdir -p /etc/app\necho "key = $(cat /run/bakery-secrets/licence)" >/etc/app/app.conf\n'
    wanted = replace(recipe(folder, f"#!/bin/sh\n{leak}"), secrets={"licence": SOURCE})
    with pytest.raises(BakeFailed) as failed:
        oven.bake(wanted, Activity())
    assert failed.value.message.startswith("/etc/app/app.conf has the value of the secret licence; let the recipe")
    assert SECRET not in failed.value.render()
    assert oven.library.find(wanted.name) is None
    assert with_value(folder, SECRET) == []


def test_an_image_with_the_secret_in_a_file_is_refused(
    oven: LocalOven, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses_the_secret_in_a_file(oven, tmp_path, monkeypatch)


@pytest.mark.slow
def test_an_image_with_the_secret_in_a_file_is_refused_in_a_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oven = LocalOven(parse({"local": {**VALUES["local"], "isolation": "machine"}}, "test", tmp_path))
    refuses_the_secret_in_a_file(oven, tmp_path, monkeypatch)


@pytest.mark.slow
def test_a_machine_keeps_the_secret_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oven = LocalOven(parse({"local": {**VALUES["local"], "isolation": "machine"}}, "test", tmp_path))
    log = bake_with_the_secret(oven, tmp_path, f"#!/bin/sh\n{GIVEN}\n", monkeypatch)
    assert log.startswith("bakery: baking in a machine")


def test_a_recipe_that_kills_all_it_can_only_fails_itself(oven: LocalOven, planted: list[str], tmp_path: Path) -> None:
    before = outside()
    with pytest.raises(BakeryError):
        oven.bake(recipe(tmp_path, "#!/bin/sh\nkill -9 -1\nsleep 60\n"), Activity())
    assert outside() == before
    assert list(oven.state.work.iterdir()) == []


def test_what_a_container_denies_is_baked_in_a_machine(tmp_path: Path) -> None:
    local = {**VALUES["local"], "isolation": "auto", "accelerator": "tcg"}
    script = "#!/bin/sh\nset -e\n/usr/sbin/sysctl -w vm.swappiness=11\n"
    done = LocalOven(parse({"local": local}, "test", tmp_path)).bake(recipe(tmp_path, script), Activity())
    notes = [line for line in Path(str(done.log)).read_text().splitlines() if line.startswith("bakery: baking")]
    assert [note.split(": ")[1] for note in notes] == ["baking in a container", "baking again, in a machine"]
    assert "sysctl" in notes[1]


CHILD = """
import json, sys
from pathlib import Path
from bakery.codec import decode
from bakery.orders.model import BakeOrder
from bakery.ovens.local.oven import LocalOven
from bakery.progress.activity import Activity
from bakery.settings import parse
values, folder, order = json.loads(sys.stdin.read())
activity = Activity(lambda phase: print(phase, flush=True))
LocalOven(parse(values, "test", Path(folder))).bake(decode(BakeOrder, order), activity)
"""


def wait_until_all_is_as(before: dict[str, object], state: StatePaths) -> None:
    """Clear what a killed bake left, when its processes have ended."""
    deadline = time.monotonic() + 20
    while running := subprocess.run(["pgrep", "-f", str(state.work)], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline, running
        time.sleep(0.1)
    scratch.clear(state)
    while (now := outside()) != before:  # the kernel lets go of a mount a moment after its last process
        assert time.monotonic() < deadline, {key: now[key] for key in now if now[key] != before[key]}
        time.sleep(0.1)


@pytest.mark.parametrize("phase", ["staging", "booting", "baking: provisioner 2", "cleaning up", "flattening"])
def test_a_kill_leaves_nothing_that_recover_does_not_clear(phase: str, tmp_path: Path) -> None:
    before = outside()
    state = StatePaths(parse(VALUES, "test", tmp_path).state)
    given = json.dumps([VALUES, str(tmp_path), encode(recipe(tmp_path, "#!/bin/sh\nsleep 2\n"))])
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin and child.stdout
    with child.stdin, child.stdout:
        child.stdin.write(given)
        child.stdin.close()
        assert any(line.startswith(phase) for line in child.stdout)
        time.sleep(0.3)
        child.send_signal(signal.SIGKILL)
        child.wait()
    wait_until_all_is_as(before, state)
    assert list(state.work.iterdir()) == []
