"""Gathers what the checks of one package find; files are named relative to the package until they are shown."""

from __future__ import annotations

from dataclasses import dataclass, field

from bakery.errors import Problem, Severity


@dataclass(frozen=True)
class Findings:
    """Problems with one file (``file``), appended to a list that all files of a package share."""

    file: str = ""
    problems: list[Problem] = field(default_factory=list)

    def at(self, file: str) -> Findings:
        """Return the same list for another file."""
        return Findings(file, self.problems)

    def error(self, line: int, message: str, hint: str) -> None:
        """Report a problem that stops the bake."""
        self.note(line, message, hint, Severity.ERROR)

    def warn(self, line: int, message: str, hint: str) -> None:
        """Report a problem that does not stop the bake."""
        self.note(line, message, hint, Severity.WARNING)

    def note(self, line: int, message: str, hint: str, severity: Severity) -> None:
        """Report a problem once: several variants may have the same."""
        problem = Problem(self.file, max(line, 1), message, hint, severity)
        if problem not in self.problems:
            self.problems.append(problem)


def quoted(value: object, limit: int = 60) -> str:
    """Return a value for a message: on one line, at most ``limit`` characters."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def one_line(error: object, limit: int = 120) -> str:
    """Return an exception's text on one line, at most ``limit`` characters."""
    text = " ".join(str(error).split())
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
