"""``bakery prune``: delete images that are no longer wanted."""

from typing import Annotated

import typer

from bakery.cli.console import fail, say
from bakery.cli.options import DEFAULT_STACK, Stack, backend_of


def prune(
    stack: Stack = DEFAULT_STACK,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; print what would be deleted.")] = False,
) -> None:
    """Delete images that were deprecated longer ago than the stack's retentionDays and that nothing uses.

    Layers of bakes that are too old, and the least used layers and boot snapshots beyond their budgets, are deleted as
    well.
    """
    from bakery.operations.prune import prune as prune_library
    from bakery.report.revoke import enforced_lines

    backend = backend_of(stack)
    for line in backend.damaged(contents=False):
        say(f"warning: {line}")
    done = prune_library(backend, dry_run=dry_run)
    for line in enforced_lines(done.enforced):
        print(f"{line}, revoked")
    for step in (*done.moved, *done.kept):
        print(f"{step.image.name}: {step.to or 'kept'}: {step.why}")
    for copy in done.copies.steps:
        print(copy)
    if done.layers:
        print(f"layers of bakes, boot snapshots: DELETED: {done.layers / 1e9:.1f} GB, too old or least used")
    print(f"{(done.freed + done.layers) / 1e9:.1f} GB {'would be' if dry_run else 'are'} free")
    fail(done.copies.problems)
