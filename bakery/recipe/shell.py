"""What is known of a shell's commands without a shell.

Source: POSIX, "Shell Command Language": tokens, assignments, lists of commands.
"""

import re
import shlex
from collections.abc import Container, Mapping, Sequence

# Commands that change no file that a bake reads.
_HARMLESS_WORDS = """
: [ cat cd date do done echo else env exit export false fi hostname id if ls printf pwd set sleep test then time true
type umask uname unset which
"""
_HARMLESS = frozenset(_HARMLESS_WORDS.split())
NO_BAKE = frozenset(
    ["console", "fix", "fmt", "hcl2_upgrade", "help", "init", "inspect", "plugins", "validate", "version"]
)
_QUOTES = frozenset("'\"\\#")
# What a command substitution hides from the shell that reads the text around it: blanks, quotes, and ends of commands.
_INNER = re.compile(r"\$\$?\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)|`([^`]*)`")
_HIDDEN = {ord(sign): 0xE000 + number for number, sign in enumerate(" \t\r\n;|&'\"\\#")}
_SHOWN = {hidden: sign for sign, hidden in _HIDDEN.items()}
_COMMANDS = re.compile(r"\n|;|&&|\|\|?|(?<![<>&])&(?!&)")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_KEYWORDS = ("if", "then", "else", "do", "!", "time", "exec")  # before a command
_WRITES = re.compile(r">(?!\s*/dev/null\b|&\d)")


def commands(text: str) -> list[str]:
    """Return the commands of a text, as far as quotes do not hide their ends."""
    return [command.translate(_SHOWN) for command in _COMMANDS.split(_hidden(text))]


def _hidden(text: str) -> str:
    return _INNER.sub(lambda match: match[0].translate(_HIDDEN), text) if "$(" in text or "`" in text else text


def has_quotes(text: str) -> bool:
    """Return whether words of a text may be something else than what is between blanks."""
    return not _QUOTES.isdisjoint(text)


def split_words(text: str, *, comments: bool = False) -> list[str]:
    """Return the words of a text, which a shell would split at blanks outside of quotes; drop ``comments``."""
    try:
        return shlex.split(text, comments=comments) if has_quotes(text) else text.split()
    except ValueError:  # an unclosed quote: the recipe's checks report it
        return text.split()


def shell_words(text: str) -> list[str]:
    """Return the words of a command as a shell splits them, without comments."""
    outer = _hidden(text)
    found = split_words(outer, comments=True)
    return found if outer is text else [word.translate(_SHOWN) for word in found]


def _program(words: Sequence[str]) -> list[str]:
    """Return the words of a command after the assignments before it."""
    at = next((at for at, word in enumerate(words) if not re.match(r"[A-Za-z_]\w*=", word)), len(words))
    return [word.strip("(){}") for word in words[at:]]


def set_before(words: Sequence[str], program: str) -> dict[str, str]:
    """Return the variables that a command sets for one program, before its name: ``A=1 packer``, ``env A=1 packer``."""
    names = [word.strip("(){}").rpartition("/")[2] for word in words]
    before = words[: names.index(program)] if program in names else ()
    return {match[1]: match[2] for word in before if (match := _ASSIGNMENT.fullmatch(word))}


def exports(words: Sequence[str], exported: Container[str], assigned: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a command exports, or sets if they are ``exported``; ``assigned`` are the values."""
    program = _after_keywords(_program(words))
    found = {match[1]: match[2] for word in words if (match := _ASSIGNMENT.fullmatch(word))}
    if program[:1] == ["export"]:
        return {name: assigned[name] for name in program[1:] if name in assigned} | found
    return {name: value for name, value in found.items() if name in exported} if not program else {}


def _after_keywords(program: list[str]) -> list[str]:
    while program and program[0] in _KEYWORDS:
        program = program[1:]
    return program


def runs(words: Sequence[str], command: str) -> bool:
    """Whether the words call Packer with a command (``build``)."""
    program = _program(words)
    names = [word.rpartition("/")[2] for word in program]
    return "packer" in names and names[names.index("packer") + 1 : names.index("packer") + 2] == [command]


def harmless(command: str) -> bool:
    """Whether a command changes no file that a bake reads."""
    if _WRITES.search(command):
        return False
    inner = [match[1] or match[2] or "" for match in _INNER.finditer(command)]
    if not all(harmless(one) for text in inner for one in commands(text)):
        return False
    program = _after_keywords(_program(shell_words(command)))
    if program[:1] == ["env"]:
        program = _program([word for word in program[1:] if not word.startswith("-")])
    if not program or not program[0]:
        return True
    name = program[0].rpartition("/")[2]
    return name in _HARMLESS or runs(program, "build") or any(runs(program, command) for command in NO_BAKE)
