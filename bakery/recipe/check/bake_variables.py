"""The variables that a build gives to Packer, from its calls and their variable files."""

from collections.abc import Mapping

from bakery.recipe.model import BuildCalls, Json
from bakery.recipe.substitutions import dynamic, substitute
from bakery.recipe.templating import declared, environment, passed, resolve, settable

Files = Mapping[str, Mapping[str, str]]


def given(calls: BuildCalls, files: Files) -> dict[str, str]:
    """Return the variables that Packer is given, unfilled; "" where only the build knows the value.

    ``files`` are the values in the variable files, by their paths.
    """
    values = {name: text for file in files.values() for name, text in file.items()}
    unknown = [name for call in calls.calls for name in call.unknown]
    return dict.fromkeys(unknown, "") | values | calls.variables


def variables(
    template: Json,
    build: Json,
    calls: BuildCalls,
    files: Files,
    *,
    values: Mapping[str, str],
    variant: Mapping[str, str],
) -> dict[str, str]:
    """Return the Packer variables of a variant; an unset one keeps the template's default.

    ``values`` are the substitutions of the build, and ``variant`` those of the variant, which count more.
    """
    filled = dynamic(build, {**values, **variant})
    default = declared(template)
    texts = {name: text for file in files.values() for name, text in file.items()}
    arguments = {name: text.replace("$", "$$") for name, text in texts.items()} | calls.variables
    env = {name: substitute(text, filled) for name, text in calls.environment.items()}
    wanted = settable(template, default, arguments, variant)
    return resolve({**default, **passed(arguments, filled, wanted, variant)}, environment(env, calls.secrets))
