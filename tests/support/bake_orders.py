"""Orders and templates that the ovens' tests bake."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from bakery.orders.model import BakeOrder
from bakery.plan.summary import Base
from bakery.recipe.model import SourceFile

DEBIAN = Base("debian-12", "debian-12-test", "inrelease:test", "debian-cloud")


def source(folder: Path, path: str, content: str, mode: int = 0o644) -> SourceFile:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    return SourceFile(path, mode, hashlib.sha256(content.encode()).hexdigest(), file)


def order(package: str, files: tuple[SourceFile, ...] = (), base: Base = DEBIAN, salt: str = "") -> BakeOrder:
    digest = hashlib.sha256(f"{package} {salt} {[file.sha256 for file in files]}".encode()).hexdigest()
    return BakeOrder(
        package=package,
        variant="",
        family=package,
        name=f"{package}-{digest[:12]}",
        digest=digest,
        base=base,
        template={
            "variables": {"pkg_path": "packages/none", "message": None, "disk": "3"},
            "builders": [
                {
                    "type": "googlecompute",
                    "image_name": "{{user `message`}}-{{timestamp}}",
                    "disk_size": "{{user `disk`}}",
                    "ssh_username": "baker",
                    "zone": "somewhere",
                }
            ],
            "provisioners": [
                {"type": "file", "source": "{{user `pkg_path`}}/share", "destination": "/tmp/"},
                {
                    "type": "shell",
                    "script": "{{user `pkg_path`}}/install.sh",
                    "execute_command": "{{ .Vars }} sudo -E bash '{{ .Path }}'",
                    "only": ["googlecompute"],
                },
            ],
            "post-processors": [{"type": "manifest"}],
        },
        template_path=f"packages/{package}/packer.json",
        build={},
        variables={"pkg_path": f"packages/{package}", "message": "hello", "image_name": "not declared"},
        substitutions={},
        files=files,
        labels={"package": package},
        inputs={f"packages/{package}/install.sh": "abc"},
        timeout=600,
    )


def on_parent(child: BakeOrder, parent: BakeOrder) -> BakeOrder:
    return replace(child, base=Base(parent.family, parent.name, parent.digest))
