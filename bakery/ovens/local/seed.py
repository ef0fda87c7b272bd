"""The seed disk of a bake: a tar archive with a temporary key, a host key, and a bake's first and last script."""

from pathlib import Path

from bakery.host import process, tar

FILES = Path(__file__).with_name("files")


def make_key(file: Path, comment: str) -> str:
    """Create an ed25519 key pair at ``file`` and return the public key."""
    process.find_tool("ssh-keygen", "run: sudo apt-get install openssh-client")
    process.output(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(file)])
    return file.with_suffix(".pub").read_text(encoding="utf-8")


def script(name: str, user: str) -> bytes:
    """Return one of this package's scripts with the name of the user inserted."""
    return (FILES / name).read_text(encoding="utf-8").replace("@USER@", user).encode()


def make(work: Path, user: str) -> None:
    """Write ``seed.tar`` and the key pair ``key`` into the bake's folder.

    The host key is created here, since an emulated processor is slow; finish.sh removes it from the image.
    """
    public = make_key(work / "key", "bakery")
    host = work / "host_key"
    host_public = make_key(host, "bakery")
    files = (
        ("run/bakery/apply", script("apply.sh", user), 0o755),
        ("run/bakery/finish", script("finish.sh", user), 0o755),
        ("run/bakery/key.pub", public.encode(), 0o644),
        ("etc/ssh/ssh_host_ed25519_key", host.read_bytes(), 0o600),
        ("etc/ssh/ssh_host_ed25519_key.pub", host_public.encode(), 0o644),
    )
    (work / "seed.tar").write_bytes(tar.pack(files))
