"""Files of values (``-var-file``) in the commands of a build's steps: the template has what the plan read of them."""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Set

from bakery.orders.model import BakeOrder
from bakery.recipe.model import Json
from bakery.recipe.packer_call import build_calls
from bakery.recipe.substitutions import substitute

_VAR_FILE = ("-var-file", "--var-file")
_VALUES = re.compile(r"""(?<!\S)--?var-file(?:=|\s+)(?:"([^"]*)"|'([^']*)'|(\S+))""")


def changed_words(step: Json, change: Callable[[list[str]], list[str]]) -> Json:
    """Return the step with the words of its command, or the text of its script, changed."""
    args = step.get("args")
    made: Json = {key: "".join(change([step[key]])) for key in ("args", "script") if isinstance(step.get(key), str)}
    return {**step, **made, **({"args": change(list(map(str, args)))} if isinstance(args, list) else {})}


def known_files(order: BakeOrder) -> frozenset[str]:
    """Return the names of the files of values whose content the plan has read."""
    called = build_calls(order.build, order.package).files
    names = {posixpath.basename(substitute(path, order.substitutions)) for path in called}
    return frozenset(names & {posixpath.basename(file.path) for file in order.files})


def without_variable_files(step: Json, known: Set[str], values: Mapping[str, str]) -> Json:
    """Return the step without ``-var-file`` for these files: the template has their values.

    The files must not win over what the plan has decided since, as the values of a variant.
    """

    def is_known(path: str) -> bool:
        filled = substitute(path, values)
        return "$" not in filled and posixpath.basename(filled) in known

    def kept(words: list[str]) -> Iterator[str]:
        rest = iter(words)
        for word in rest:
            option, equals, path = word.partition("=")
            path = next(rest, "") if option in _VAR_FILE and not equals else path
            if option not in _VAR_FILE:
                yield _VALUES.sub(
                    lambda match: "" if is_known(match[1] or match[2] or match[3] or "") else match[0], word
                )
            elif not is_known(path):
                yield from [word] if equals else [word, path]

    return changed_words(step, lambda words: list(kept(words)))
