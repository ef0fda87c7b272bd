"""Parsers that keep positions: every value knows its file and line."""

from bakery.recipe.parse.document import Document, Where, listed, text
from bakery.recipe.parse.findings import Findings, one_line, quoted

__all__ = ["Document", "Findings", "Where", "listed", "one_line", "quoted", "text"]
