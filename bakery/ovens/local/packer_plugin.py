"""Packer's qemu plugin, which Packer 1.10 and newer do not include, and archives of plugins at a mirror."""

import platform
import shlex
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import urljoin

from bakery.errors import InfrastructureFailed
from bakery.host import process
from bakery.host.download import download, read_text
from bakery.plan.address import packer_plugin
from bakery.progress.activity import Activity

PLUGIN, VERSION = "github.com/hashicorp/qemu", "v1.1.0"
COMMAND = ["packer", "plugins", "install", PLUGIN]
INSTALL_SECONDS = 300.0
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}  # as Go names them


def install(mirror: str, log: Path) -> None:
    """Install the plugin: the newest one by Packer itself, or from a mirror the one that is known to be good.

    Raises BakeryError.
    """
    if not mirror:
        process.run(COMMAND, log=log, timeout=INSTALL_SECONDS)
        return
    with tempfile.TemporaryDirectory(prefix="bakery-plugin-") as place:
        sums = packer_plugin(PLUGIN, VERSION, mirror).mirror
        found = archive(sums, Path(place), MACHINES.get(platform.machine(), "amd64"), Activity())
        try:
            with zipfile.ZipFile(found) as packed:
                program = Path(packed.extract(found.stem, place))
        except (KeyError, zipfile.BadZipFile) as error:
            raise InfrastructureFailed(f"{found.name} of {mirror} has no plugin", hint="fetch it again") from error
        program.chmod(0o755)
        process.run([*COMMAND[:-1], "--path", str(program), PLUGIN], log=log, timeout=INSTALL_SECONDS)


def archive(sums: str, folder: Path, machine: str, activity: Activity) -> Path:
    """Download a plugin's archive for Linux into a folder; ``sums`` is the address of the release's checksums.

    An existing archive with the right checksum is kept. Raises InfrastructureFailed and Interrupted.
    """
    end = f"_linux_{machine}.zip"
    lines = [line.split() for line in read_text(sums).splitlines()]
    fitting = [(words[0], words[1]) for words in lines if len(words) == 2 and words[1].endswith(end)]
    if len(fitting) != 1 or "/" in fitting[0][1]:
        raise InfrastructureFailed(f"{sums} does not list one archive {end}", hint="check the mirror")
    checksum, name = fitting[0]
    download(urljoin(sums, name), folder / name, f"sha256:{checksum}", activity)
    return folder / name


def hint() -> str:
    """Return what a user can do."""
    return f"run: {shlex.join(COMMAND)}"
