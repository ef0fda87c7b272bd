"""The bakery command."""
