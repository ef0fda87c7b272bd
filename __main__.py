"""The Pulumi program of this checkout; a bakery of one's own has the same (see docs/own-repository.md)."""

from pathlib import Path

from bakery.program import run

run(Path(__file__).resolve().parent)
