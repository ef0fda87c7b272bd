"""A plain text table whose lines are not wrapped.

Rich is not used: for a thousand images it takes longer than all the rest.
"""

from collections.abc import Sequence

Row = tuple[str, Sequence[str]]  # an ANSI colour ("" for none), and the cells


def lines(titles: Sequence[str], rows: Sequence[Row], *, colour: bool = False) -> list[str]:
    """Return the lines of a table with aligned columns; none without rows."""
    cells = [titles, *(cells for _, cells in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:-1]
    found = [_line(titles, widths)] if rows else []
    for code, row in rows:
        line = _line(row, widths)
        found.append(f"\033[{code}m{line}\033[0m" if colour and code else line)
    return found


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    *padded, last = cells
    return "  ".join([cell.ljust(width) for cell, width in zip(padded, widths, strict=True)] + [last]).rstrip()
