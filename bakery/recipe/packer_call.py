"""How the steps of ``cloudbuild.yaml`` call Packer, and which of them only the build itself can follow.

Sources: Cloud Build, "Build configuration file schema" (``args``, ``script``, ``dir``, ``env``); Go's package ``flag``
(``--var`` is ``-var``, a boolean takes no next word); Packer's ``command/meta.go`` (``-var`` wins over ``-var-file``,
and the last file over the ones before it).
"""

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from fnmatch import fnmatchcase

from bakery.recipe.model import BuildCalls, Json, PackerCall
from bakery.recipe.shell import NO_BAKE, commands, exports, harmless, runs, set_before, shell_words
from bakery.recipe.substitutions import SUBSTITUTION, dynamic, has_unknown, substitute

TEMPLATES = ("packer.json", ".pkr.hcl", ".pkr.json")
# Steps that run in these images test an image; the last is the builder image of docs/rcc-run.md.
TEST_IMAGES = ("fluid-run", "rcc-run", "fluid-cicb", "bakery")
_SHELLS = frozenset(("sh", "bash", "dash", "ash"))
_BOOLEANS = """
color debug force ignore-prerelease-plugins machine-readable parallel timestamp-ui use-sequential-evaluation
warn-on-undeclared-var
"""
_WITHOUT_VALUE = frozenset(_BOOLEANS.split())
_FLAGS = _WITHOUT_VALUE | {"except", "on-error", "only", "parallel-builds", "var", "var-file"}
_BRACES = re.compile(r"\{([^}]*)\}?")
_VERSION = re.compile(r"[:@][^/]*$")
_ASSIGNED = re.compile(r"(?:^|[\s;&])([A-Za-z_]\w*)=((?:\"[^\"\n]*\"|'[^'\n]*'|[^\s;&|])*)")
_NAMED = re.compile(r"\$\{?(\w+)")
_VARIABLE = re.compile(r"\$\$(?:\{(\w+)\}|(\w+))")


def steps(build: Json) -> list[Mapping[str, Json]]:
    """Return the steps of a build; what is not a mapping is an empty step."""
    found = build.get("steps") if isinstance(build, dict) else None
    return [step if isinstance(step, dict) else {} for step in found] if isinstance(found, list) else []


def build_calls(build: Json, package: str) -> BuildCalls:
    """Return what the build says of the template of ``package``.

    If no step names that template, every call counts: people name it in ways that only a shell understands.
    """
    values = build.get("substitutions") if isinstance(build, dict) else None
    known = {name: str(value) for name, value in values.items()} if isinstance(values, dict) else {}
    listed = [(at, replace(call, step=at)) for at, step in enumerate(steps(build)) for call in calls(step, build)]
    chosen = [(index, call) for index, call in listed if _is_of(call, package, known)] or listed
    indices = {index for index, _ in chosen}
    whole = {index: reason for index in sorted(indices) if (reason := _doubt(index, chosen))}
    bakes = {index for index, _ in listed}
    reason = "may change the files of the bake" if bakes else "may run Packer"
    after = _after(steps(build), indices)
    for index, step in enumerate(steps(build)):
        if index not in bakes | after and _may_change_files(step):
            whole[index] = reason
    return BuildCalls(tuple(call for _, call in chosen), dict(sorted(whole.items())), frozenset(bakes - indices))


def _after(listed: Sequence[Mapping[str, Json]], bakes: Set[int]) -> set[int]:
    """Return the steps that begin only when all of ``bakes`` have ended: those behind them, unless they do not wait."""
    after: set[int] = set()
    for index, step in enumerate(listed):
        if index <= max(bakes, default=len(listed)):
            continue
        waited = step.get("waitFor") if isinstance(step.get("waitFor"), list) else []
        known = {str(one.get("id")): number for number, one in enumerate(listed[:index]) if one.get("id")}
        others = {known[name] for name in map(str, waited or ()) if name in known}
        if not waited or others & after or bakes <= others:
            after.add(index)
    return after


def _is_of(call: PackerCall, package: str, values: Mapping[str, str]) -> bool:
    path = posixpath.normpath(substitute(call.template, values)) if call.template else ""
    folder = posixpath.dirname(path) if path.endswith((".json", ".hcl")) else path
    return posixpath.basename(folder) in (package, "", ".") or "$" in folder


def _doubt(index: int, chosen: Sequence[tuple[int, PackerCall]]) -> str:
    own = [call for other, call in chosen if other == index]
    if not all(call.exact for call in own):
        return "computes in a shell what it passes to Packer"
    if any(differ(one, other) for number, one in enumerate(own) for other in own[number + 1 :]):
        return "calls Packer several times with other values"
    if any(has_unknown(text) for call in own for text in (*call.variables.values(), *call.files)):
        return "has an expansion that the bakery does not know"
    return ""


def differ(one: PackerCall, other: PackerCall) -> bool:
    """Whether two calls may bake the same builder with other values."""
    disjoint = one.only and other.only and not set(one.only) & set(other.only)
    same = (one.variables, one.files, one.environment) == (other.variables, other.files, other.environment)
    return not disjoint and not same


def with_choices(called: BuildCalls, build: Json, values: Mapping[str, str]) -> BuildCalls:
    """Return the calls with the substitutions in ``-only`` and ``-except`` filled in."""
    if not any("$" in word for call in called.calls for word in (*call.only, *call.exclude)):
        return called
    known = dynamic(build, values)

    def filled(words: Sequence[str]) -> tuple[str, ...]:
        return tuple(filter(None, ",".join(substitute(word, known) for word in words).split(",")))

    chosen = (replace(call, only=filled(call.only), exclude=filled(call.exclude)) for call in called.calls)
    return replace(called, calls=tuple(chosen))


def leaves(title: str, only: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether the patterns of ``-only`` and ``-except`` leave a builder or source of this title."""
    # A comma ends the pattern also in { }, so there is one choice at most, which need not be closed.
    choices = ((_BRACES.sub(r"\1", one) for one in patterns) for patterns in (only or ("*",), exclude))
    chosen, left_out = (any(fnmatchcase(title, one) for one in patterns) for patterns in choices)
    return chosen and not left_out


def image(step: Json) -> str:
    """Return the image that runs a step, without its tag or digest."""
    return _VERSION.sub("", str(step.get("name", "")))


def tests(step: Json) -> bool:
    """Whether a step tests an image: the bakery does that itself."""
    return image(step).rpartition("/")[2] in TEST_IMAGES


def calls(step: Json, build: Json = None) -> Iterator[PackerCall]:
    """Yield the calls of ``packer build`` in a step. ``build`` has the environment of all steps."""
    if not isinstance(step, dict):
        return
    environment, secrets = _environment(step, build)
    text = shell_text(step, environment)
    if text is None:
        given = step.get("args")
        words = [str(word) for word in given] if isinstance(given, list) else []
        if "build" in words and _is_packer(step, words):
            folder = step_folder(step)
            yield _parsed(words[words.index("build") + 1 :], folder, environment, secrets)
        return
    assigned = environment | {match[1]: match[2].strip("\"'") for match in _ASSIGNED.finditer(text)}
    parts = commands(text)
    exact = all(map(harmless, parts)) and _maps_substitutions(step, build)
    folder = step_folder(step)
    exported = dict(environment)
    for part in parts:
        words = shell_words(part)
        if words[:1] == ["cd"] and len(words) > 1:
            folder = step_folder({"dir": posixpath.join(folder, _from_shell(words[1], assigned))})
        exported |= {name: _from_shell(value, assigned) for name, value in exports(words, exported, assigned).items()}
        if runs(words, "build"):
            passed = [_from_shell(word, assigned) for word in words[words.index("build") + 1 :]]
            own = {name: _from_shell(value, assigned) for name, value in set_before(words, "packer").items()}
            call = _parsed(passed, folder, exported | own, secrets)
            unknown = frozenset(name for name, value in call.variables.items() if _computed(value))
            known = {name: value for name, value in call.variables.items() if name not in unknown}
            plain = exact and not any(map(_computed, (part, *call.environment.values())))
            yield replace(call, variables=known, unknown=unknown, exact=plain)


def step_folder(step: Json) -> str:
    """Return the folder where a step runs, from the workspace."""
    return _below_workspace(str(step.get("dir") or ""))


def _below_workspace(path: str) -> str:
    return re.sub("^/workspace(/|$)", "", path)


def _is_packer(step: Json, words: Sequence[str]) -> bool:
    names = (image(step).rpartition("/")[2], str(step.get("entrypoint") or "").rpartition("/")[2])
    if any("packer" in name for name in names):
        return True
    return any(word.endswith(TEMPLATES) or re.match(r"--?var\b", word) for word in words)


def _maps_substitutions(step: Json, build: Json) -> bool:
    """Whether the shell's ``$_NAME`` is the substitution: in ``args`` it always is, in a ``script`` only if asked."""
    options = build.get("options") if isinstance(build, dict) else None
    holders = (step, options if isinstance(options, dict) else {})
    return "script" not in step or any(one.get("automapSubstitutions") for one in holders)


def _environment(step: Json, build: Json) -> tuple[dict[str, str], frozenset[str]]:
    options = build.get("options") if isinstance(build, dict) else None
    holders = [one for one in (options, step) if isinstance(one, dict)]
    entries = [str(entry) for one in holders for entry in one.get("env") or () if isinstance(one.get("env"), list)]
    secrets = [str(name) for one in holders for name in one.get("secretEnv") or ()]
    return {name: value for name, equals, value in (entry.partition("=") for entry in entries) if equals}, frozenset(
        secrets
    )


def shell_text(step: Json, environment: Mapping[str, str]) -> str | None:
    """Return the commands of a step that runs a shell, with ``$$`` for the shell's own variables; else None."""
    script = step.get("script")
    if isinstance(script, str):  # Cloud Build fills in nothing there
        own = _NAMED.sub(lambda m: m[0] if m[1][0] == "_" and m[1] not in environment else f"${m[0]}", script)
        return _joined(own)
    given = step.get("args")
    if isinstance(given, str):
        return _joined(given)
    words = [str(word) for word in given] if isinstance(given, list) else []
    shell = {str(step.get("entrypoint") or "").rpartition("/")[2], *(word.rpartition("/")[2] for word in words[:1])}
    texts = [word for word in words if "packer build" in word or (shell & _SHELLS and (" " in word or "\n" in word))]
    if shell & _SHELLS and not texts:
        return _joined(" ".join(words))
    return _joined("\n".join(texts)) if texts else None


def _joined(text: str) -> str:
    return re.sub(r"\\\r?\n", " ", text)


def _computed(text: str) -> bool:
    """Whether a shell expands something in a command that Cloud Build has not filled in before."""
    return "`" in text or "$" in SUBSTITUTION.sub(lambda match: "$" if match[0] == "$$" else "", text)


def _from_shell(word: str, assigned: Mapping[str, str]) -> str:
    """Return a word with the shell's variables that are set in plain sight; the rest is kept."""
    for _ in range(4):
        before, word = word, _VARIABLE.sub(lambda match: assigned.get(match[1] or match[2], match[0]), word)
        if word == before:
            break
    return word


def _may_change_files(step: Json) -> bool:
    """Whether a step that bakes nothing may prepare what another one bakes."""
    if tests(step):
        return False
    text = shell_text(step, {})
    words = [str(word) for word in step.get("args") or []] if isinstance(step.get("args"), list) else []
    if "plugins install" in (text or ""):  # it fetches Packer
        return False
    if text is not None:
        return not all(map(harmless, commands(text)))
    if image(step).endswith("packer") and set(words[:1]) <= NO_BAKE:
        return False
    command = [*([str(step["entrypoint"])] if step.get("entrypoint") else []), *words]
    return not harmless(shlex.join(command)) if command else bool(step)


def _parsed(words: Sequence[str], folder: str, environment: Mapping[str, str], secrets: frozenset[str]) -> PackerCall:
    """Return the call in ``folder`` with these arguments after ``build``."""
    variables: dict[str, str] = {}
    lists: dict[str, list[str]] = {"var-file": [], "only": [], "except": []}
    template = ""
    refused = []
    rest = iter(words)
    for given in rest:
        word = given if template else given.rstrip(";")
        if not word.startswith("-"):
            template = template or word
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if name not in _FLAGS:
            refused += [word] if name.isidentifier() or "-" in name else []
        elif not equals and name not in _WITHOUT_VALUE:
            value = next(rest, "")
        if name == "var":
            variable, has_value, text = value.partition("=")
            variables |= {variable.strip(): text} if has_value else {}
        elif name in lists:
            lists[name] += [value] if name == "var-file" else value.split(",")
    return PackerCall(
        argument=template,
        folder=folder,
        variables=variables,
        files=tuple(_below_workspace(posixpath.join(folder, path)) for path in lists["var-file"]),
        only=tuple(lists["only"]),
        exclude=tuple(lists["except"]),
        environment=environment,
        secrets=secrets,
        refused=tuple(refused),
    )
