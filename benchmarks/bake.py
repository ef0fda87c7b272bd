"""Local bakes in a machine and in a container against a raw ``packer build``; ``--apart``: what each measure saves.

Run: python benchmarks/bake.py [--repeats N] [--apart | --layers] [--json FILE]. The recipe installs HPC Challenge and
what it needs on the Debian base image (made before the clock starts). ``machine`` and ``container`` are the whole of
:meth:`LocalOven.bake`, from the order to the image in the library; ``packer`` is only the process, for a machine, on a
template, seed and overlay that were prepared before. They take turns; figures are medians of wall seconds. ``--apart``
runs Packer once more each without the overlay (a full copy of the base), without the handed-in kernel, without apt's
and dpkg's options, and with eatmydata around the installation. ``--layers`` bakes, instead, the same recipe in
containers with one more script at its end, which is edited between two bakes: with layers and without.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bakery.host import qemu, tar
from bakery.orders.model import BakeOrder
from bakery.ovens.local import base_image, machine, packer, template
from bakery.ovens.local.oven import LocalOven
from bakery.progress.activity import Activity
from bakery.recipe.stage import stage
from bakery.settings import Isolation, LayerSettings, Settings, parse
from benchmarks import _options
from tests.support import bake_orders

INSTALL = (
    "export DEBIAN_FRONTEND=noninteractive\napt-get update\n{prefix}apt-get install -y --no-install-recommends hpcc\n"
)
OPTIONS = ("apt.conf.d/zz-bakery", "dpkg.cfg.d/zz-bakery")
APART = ("no overlay", "no handed-in kernel", "no apt and dpkg options", "with eatmydata")


def wanted(folder: Path, prefix: str = "") -> BakeOrder:
    """The order: a file provisioner, and the installation."""
    script = bake_orders.source(folder, "packages/bench/install.sh", INSTALL.format(prefix=prefix), 0o755)
    share = bake_orders.source(folder, "packages/bench/share/text", "some text")
    return replace(bake_orders.order("bench", (script, share), salt=str(time.time_ns())), timeout=1800)


def bakery(settings: Settings, isolation: Isolation, folder: Path) -> float:
    """Seconds of a whole bake."""
    order = wanted(folder)
    settings = replace(settings, local=settings.local._replace(isolation=isolation))
    began = time.perf_counter()
    LocalOven(settings).bake(order, Activity())
    return time.perf_counter() - began


def edited(settings: Settings, folder: Path, budget_gb: int) -> tuple[float, float]:
    """Seconds of a bake from nothing, and of one after an edit of its last script."""
    local = settings.local._replace(isolation=Isolation.CONTAINER, layers=LayerSettings(budget_gb))
    oven, seconds, salt = LocalOven(replace(settings, local=local)), [], str(time.time_ns())
    for edit in ("first", "second"):
        order = wanted(folder)
        last = bake_orders.source(folder / edit, "packages/bench/last.sh", f"echo {salt} {edit} >/etc/edited\n", 0o755)
        step = {**order.template["provisioners"][-1], "script": "packages/bench/last.sh"}
        provisioners = [*order.template["provisioners"], step]
        order = replace(order, files=(*order.files, last), template={**order.template, "provisioners": provisioners})
        began = time.perf_counter()
        oven.bake(order, Activity())
        seconds.append(time.perf_counter() - began)
    return seconds[0], seconds[1]


def layers(settings: Settings, folder: Path, repeats: int) -> dict[str, list[float]]:
    """Seconds of first and edited bakes by whether there are layers, in turns; print the medians."""
    taken: dict[str, list[float]] = {}
    for number in range(repeats):
        for budget in (0, 10):
            state = folder / f"layers-{number}-{budget}"
            measured = edited(replace(settings, state=state), folder, budget)
            for kind, one in zip(("first bake", "last script edited"), measured, strict=True):
                taken.setdefault(f"{kind}, layers {'on' if budget else 'off'}", []).append(one)
    for kind, seconds in taken.items():
        print(f"{kind}: {statistics.median(seconds):.1f} s ({', '.join(f'{one:.1f}' for one in seconds)})")
    return taken


def raw(settings: Settings, folder: Path, without: str = "") -> float:
    """Seconds of ``packer build`` alone, ``without`` one of APART."""
    order = wanted(folder, "eatmydata " if without == "with eatmydata" else "")
    base = base_image.get(order.base, settings.local, Activity(), folder / "base.log")
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        stage(order.files, work / "workspace")
        baker = machine.BakeMachine(
            work=work,
            console=work / "console",
            accelerator=qemu.accelerator(settings.local),
            cores=settings.local.cores,
            memory_mb=settings.local.memory_mb,
            ports=(qemu.free_ports(1)[0], 65535),
            boot=None if without == "no handed-in kernel" else base.boot,
        )
        rendering = template.render(order, baker.builder, work / "workspace")
        machine.make_seed(work, rendering.user)
        if without == "no apt and dpkg options":
            plain_seed(work, rendering.user)
        if without == "no overlay":
            shutil.copy(base.disk, baker.overlay)
        else:
            machine.make_overlay(base.disk, baker.overlay, settings.local.disk_gb)
        call = packer.PackerRun(rendering, work, work / "workspace", work / "log", order.timeout)
        began = time.perf_counter()
        packer.build(call, Activity())
        return time.perf_counter() - began


def plain_seed(work: Path, user: str) -> None:
    """The seed disk once more, without what makes apt and dpkg quick."""
    lines = machine.script("apply.sh", user).decode().splitlines(keepends=True)
    kept = "".join(line for line in lines if not any(option in line for option in OPTIONS))
    entries = (
        ("run/bakery/apply", kept.encode(), 0o755),
        ("run/bakery/finish", machine.script("finish.sh", user), 0o755),
        ("run/bakery/key.pub", (work / "key.pub").read_bytes(), 0o644),
        ("etc/ssh/ssh_host_ed25519_key", (work / "host_key").read_bytes(), 0o600),
        ("etc/ssh/ssh_host_ed25519_key.pub", (work / "host_key.pub").read_bytes(), 0o644),
    )
    (work / "seed.tar").write_bytes(tar.pack(entries))


def main() -> None:
    """Measure and print."""
    parser = _options.parser(__doc__, repeats=3)
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--layers", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = parse({"oven": "local"}, "bench", folder)
        base_image.get(bake_orders.DEBIAN, settings.local, Activity(), folder / "base.log")
        if arguments.layers:
            layers(settings, folder, arguments.repeats)
            return
        qemu.accelerator(settings.local)
        taken: dict[str, list[float]] = {"packer": [], "machine": [], "container": []}
        for _ in range(arguments.repeats):
            taken["packer"].append(raw(settings, folder))
            for isolation in (Isolation.MACHINE, Isolation.CONTAINER):
                taken[isolation].append(bakery(settings, isolation, folder))
        for without in APART if arguments.apart else ():
            taken[without] = [raw(settings, folder, without)]
    medians = {kind: statistics.median(seconds) for kind, seconds in taken.items()}
    floor = medians["packer"]
    baked, contained = medians["machine"], medians["container"]
    print(f"packer {floor:.1f} s; in a machine {baked:.1f} s, ratio {baked / floor:.3f} (at most 1.05)")
    print(f"in a container {contained:.1f} s, ratio to the machine {contained / baked:.3f} (at most 0.15)")
    for without in APART if arguments.apart else ():
        print(f"packer {without}: {medians[without]:.1f} s ({medians[without] - floor:+.1f} s)")
    _options.write(taken, arguments)


if __name__ == "__main__":
    main()
