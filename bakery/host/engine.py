"""The settings of a stack, with the engine's help for what only it can decrypt."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from bakery.errors import CommandFailed, InfrastructureFailed
from bakery.settings import Settings, from_file


def how_to_install(root: Path) -> str:
    """Return how to get the engine of the SDK's version: only a checkout of the bakery has a set-up."""
    if (root / "tools" / "setup.sh").is_file():
        return "make setup, then source tools/env.sh"
    from importlib.metadata import version  # plans have no need of it

    return f"install Pulumi {version('pulumi')}: https://www.pulumi.com/docs/install"


def stack_settings(root: Path, stack: str, config_file: str = "") -> Settings:
    """Return the settings of a stack. The engine runs only if one of them is a secret. Raises BakeryError."""
    return from_file(root, stack, config_file, partial(configuration, root, stack, config_file))


def configuration(root: Path, stack: str, config_file: str = "") -> dict[str, Any]:
    """Return the stack's whole configuration by full key, decrypted. Raises MissingTool and InfrastructureFailed."""
    from bakery.host import process  # most stacks have no secrets, and their plans load no processes

    program = str(process.find_tool("pulumi", how_to_install(root)))
    command = [program, "config", "--json", "--show-secrets", "--non-interactive", "--stack", stack]
    if config_file:
        command += ["--config-file", str(Path(config_file).absolute())]
    try:
        entries = json.loads(process.output(command, cwd=root))
    except CommandFailed as error:
        raise InfrastructureFailed(
            f"the secret settings of stack {stack} cannot be decrypted",
            tail=error.tail,
            hint="source tools/env.sh, which names backend and passphrase; a lost passphrase: see docs/settings.md",
        ) from None
    return {key: entry.get("objectValue", entry.get("value", "")) for key, entry in entries.items()}
