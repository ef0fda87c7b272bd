"""The stack's proxy for this process: all that it starts and loads reads it from the environment."""

import os

from bakery.settings import NetworkSettings


def use(network: NetworkSettings) -> None:
    """Set the variables of the stack's proxy and index, if it has any; otherwise the user's own apply."""
    os.environ.update(network.environment)
