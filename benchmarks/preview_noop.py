"""A preview that finds nothing to do, against a trivial program with as many plain dynamic resources.

Run: python benchmarks/preview_noop.py [--images N] [--json FILE]. Both stacks are up to date, use the same engine and
the same .venv, and take turns; figures are medians in seconds, wall clock of the whole command. Without ``--images``
the recipes are the two of the dev stack; with it, that many small ones. The fake oven has made the images: a preview
never looks at one.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import _options
from tests.support import workshop
from tests.support.workshop import ROOT, Workshop

REPEATS = 7
# This SDK's serialization of a provider nests one call deeper each time, and ends after some 300: it is done once.
TRIVIAL = """import functools

import pulumi
import pulumi.dynamic.dynamic
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

pulumi.dynamic.dynamic.serialize_provider = functools.cache(pulumi.dynamic.dynamic.serialize_provider)


class Plain(ResourceProvider):
    def create(self, props):
        return CreateResult(props["name"], props)

    def diff(self, _id, olds, news):
        return DiffResult(olds["name"] != news["name"])


class Made(Resource, module="plain", name="Plain"):
    pass


provider = Plain()
for number in range({count}):
    Made(provider, f"plain-{{number}}", {{"name": f"plain-{{number}}"}})
"""


def bakery(folder: Path, engine: str, images: int) -> Workshop:
    """A stack with everything baked."""
    made = workshop.make(folder, folder.parent / "home", engine)
    if images:
        for number in range(images):
            made.recipe(f"image-{number:04d}")
    else:
        shutil.rmtree(folder / "common")
        (folder / "common").symlink_to(ROOT / "common")
        (folder / "packages").symlink_to(ROOT / "packages")
        made.extra["select"] = ["rcc-debian", "hpcc"]
    workshop.init(made)
    made.run("up", "--yes", "--skip-preview", timeout=1800)
    return made


def trivial(folder: Path, like: Workshop, count: int) -> None:
    """A stack with that many plain dynamic resources, made."""
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: trivial\nruntime: python\n", encoding="utf-8")
    (folder / "__main__.py").write_text(TRIVIAL.format(count=count), encoding="utf-8")
    for arguments in (["stack", "init", "dev"], ["up", "--yes", "--skip-preview", "--stack", "dev"]):
        words = ["pulumi", *arguments, "--non-interactive"]
        subprocess.run(words, cwd=folder, env=like.env, check=True, stdout=subprocess.DEVNULL)


def preview(folder: Path, env: dict[str, str], stack: str = "dev") -> float:
    """The seconds of one preview that finds nothing to do."""
    began = time.perf_counter()
    done = subprocess.run(
        ["pulumi", "preview", "--stack", stack, "--non-interactive", "--expect-no-changes"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"the preview in {folder} found changes or failed:\n{done.stdout[-3000:]}")
    return time.perf_counter() - began


def measure(images: int) -> dict[str, float]:
    """Both medians and their ratio."""
    engine = str(Path(shutil.which("pulumi") or "pulumi").parent)
    with tempfile.TemporaryDirectory() as name:
        made = bakery(Path(name) / "bakery", engine, images)
        count = sum(1 for one in made.deployment()["resources"] if ":dynamic/" in one["type"])
        trivial(Path(name) / "trivial", made, count)
        seconds: dict[str, list[float]] = {"bakery": [], "trivial": []}
        for _ in range(REPEATS):
            for kind, found in seconds.items():
                found.append(preview(Path(name) / kind, made.env))
    medians = {kind: statistics.median(found) for kind, found in seconds.items()}
    return {"resources": count, **medians, "ratio": medians["bakery"] / medians["trivial"]}


def main() -> None:
    """Measure and print."""
    arguments = _options.parser(__doc__, images=0).parse_args()
    found = measure(arguments.images)
    print(
        f"{found['resources']:.0f} resources: bakery {found['bakery']:.2f} s, trivial {found['trivial']:.2f} s, "
        f"ratio {found['ratio']:.2f} (at most 1.5)"
    )
    _options.write(found, arguments)


if __name__ == "__main__":
    main()
