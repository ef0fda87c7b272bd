"""Parsers that keep positions: every value knows its file and line."""
