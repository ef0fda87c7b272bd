"""A parsed file whose every value's line can be found."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from bakery.errors import Severity
from bakery.recipe.parse.findings import Findings, quoted

Result = TypeVar("Result")
Where = tuple[str | int, ...]  # keys and indices from the top to a value

LARGEST = 1 << 20  # bytes of a file that is parsed; recipes are written by people
DEEPEST = 60  # levels of nesting
GREATEST = 1e300  # what any program takes as a number
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Document:
    """``value`` as json.loads gives it; ``find_line`` gives the line of a key or list entry, if it is there.

    Lines are only looked for when one is asked for: most files have nothing wrong. ``find_text`` gives the text, as it
    was written, of a YAML scalar that is not a string (``1.10`` is the number 1.1). ``find_file`` names the file of a
    value where a document consists of several.
    """

    value: Any
    findings: Findings
    find_line: Callable[[Where], int | None] = lambda _where: None
    find_text: Callable[[Where], str] = lambda _where: ""
    find_file: Callable[[Where], str] = lambda _where: ""

    def line(self, *where: str | int) -> int:
        """Return the line of a value, or of the nearest enclosing value that has one."""
        return self.place(*where)[1]

    def place(self, *where: str | int) -> tuple[str, int]:
        """Return the file and line of a value, or of the nearest enclosing value that has one."""
        for length in range(len(where), 0, -1):
            found = self.find_line(where[:length])
            if found:
                return self.find_file(where[:length]) or self.findings.file, found
        return self.findings.file, 1

    def error(self, message: str, hint: str, *where: str | int) -> None:
        """Report an error at that place."""
        self.note(Severity.ERROR, message, hint, *where)

    def warn(self, message: str, hint: str, *where: str | int) -> None:
        """Report a warning at that place."""
        self.note(Severity.WARNING, message, hint, *where)

    def note(self, severity: Severity, message: str, hint: str, *where: str | int) -> None:
        """Report a problem of this severity at that place."""
        file, line = self.place(*where)
        self.findings.at(file).note(line, message, hint, severity)

    @cached_property
    def strings(self) -> tuple[tuple[Where, str], ...]:
        """Every string in the document, with its place."""
        return tuple(strings(self.value))

    @cached_property
    def joined(self) -> str:
        """All strings in the document, to see whether one contains something."""
        return "\n".join(self.texts)

    @cached_property
    def texts(self) -> list[str]:
        """Every string in the document; the places of :attr:`strings` take three times as long."""
        return texts(self.value)

    def once(self, work: Callable[["Document"], Result]) -> Result:
        """Return ``work`` of this document, which several checks need and one computes."""
        if work not in self._done:
            self._done[work] = work(self)
        result: Result = self._done[work]
        return result

    @cached_property
    def _done(self) -> dict[Callable[["Document"], Any], Any]:
        return {}

    def group(self, key: str) -> dict[str, Any]:
        """Return the mapping below a top-level key; {} if there is none, with an error if it has another type."""
        found = self.value.get(key)
        if found is None:
            return {}
        if isinstance(found, dict):
            return found
        self.error(f"{key} is {quoted(found)}", "write a mapping", key)
        return {}

    def entries(self, key: str, what: str) -> list[tuple[int, dict[str, Any]]]:
        """Return the mappings of the list below a top-level key, with their indices. Another type is an error."""
        found = self.value.get(key)
        if found is None:
            return []
        if not isinstance(found, list):
            self.error(f"{key} is {quoted(found)}", f"write a list of {what}", key)
            return []
        for index, entry in enumerate(found):
            if not isinstance(entry, dict):
                self.error(f"{key} holds {quoted(entry)}", f"write a mapping for each of the {what}", key, index)
        return [(index, entry) for index, entry in enumerate(found) if isinstance(entry, dict)]


def listed(value: Any) -> list[Any]:
    """Return the value if it is a list, else []."""
    return value if isinstance(value, list) else []


def strings(value: Any) -> list[tuple[Where, str]]:
    """Return every string in a value, with its place, in file order."""
    made: list[tuple[Where, str]] = []
    stack: list[tuple[Where, Any]] = [((), value)]
    while stack:
        where, found = stack.pop()
        kind = type(found)
        if kind is str:
            made.append((where, found))
        elif kind is dict:
            stack += [((*where, key), entry) for key, entry in reversed(found.items())]
        elif kind is list:
            stack += [((*where, index), found[index]) for index in range(len(found) - 1, -1, -1)]
    return made


def texts(value: Any) -> list[str]:
    """Return every string in a value, in file order. Places take three times as long, see :func:`strings`."""
    made: list[str] = []
    stack = [value]
    while stack:
        found = stack.pop()
        kind = type(found)
        if kind is str:
            made.append(found)
        elif kind is dict:
            stack += reversed(found.values())
        elif kind is list:
            stack += reversed(found)
    return made


def text(content: bytes, findings: Findings) -> str | None:
    """Return a file's text, or None with an error. A byte-order mark is a warning."""
    if len(content) > LARGEST:
        findings.error(1, f"has {len(content)} bytes", f"keep it below {LARGEST}")
        return None
    if content.startswith(BOM):
        findings.warn(1, "begins with a byte-order mark", "save it as UTF-8 without")
        content = content[len(BOM) :]
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        findings.error(line, f"not UTF-8 (byte {error.start})", "save it as UTF-8")
        return None
