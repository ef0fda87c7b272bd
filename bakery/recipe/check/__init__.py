"""Checks of a package's files: every problem at once, with file and line."""
