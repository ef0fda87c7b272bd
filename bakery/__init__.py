"""Image Bakery: bakes, proves and promotes the VM images of Slurm clusters.

A Pulumi program calls :func:`declare`, see ``docs/as-a-library.md``. It is loaded when it is used, since the commands
need no engine.
"""

from bakery.version import __version__

TYPE_CHECKING = False  # not that of typing: `bakery --help` does not import it
if TYPE_CHECKING:
    from bakery.program import Bakery, declare, resources_of
else:

    def __getattr__(name):
        """Return what the program offers, see ``__all__``."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from bakery import program

        return getattr(program, name)


__all__ = ["Bakery", "__version__", "declare", "resources_of"]
