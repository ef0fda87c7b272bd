"""The forms of the setting ``from``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import InputError
from bakery.settings import parse

FORMS = {
    "a stack": ("dev", ("dev", ())),
    "nothing": (None, ("", ())),
    "a mapping": ({"stack": "dev"}, ("dev", ())),
    "all tests": ({"stack": "dev", "smoke": True}, ("dev", ("*",))),
    "as Pulumi passes it": (json.dumps({"stack": "dev", "smoke": True}), ("dev", ("*",))),
    "no tests": ({"stack": "dev", "smoke": False}, ("dev", ())),
    "some tests": ({"stack": "dev", "smoke": ["hello"]}, ("dev", ("hello",))),
    "set by pulumi config": ({"stack": "dev", "smoke": '["hello"]'}, ("dev", ("hello",))),
}


@pytest.mark.parametrize("form", FORMS)
def test_where_images_come_from_and_what_they_have_to_pass(form: str, tmp_path: Path) -> None:
    value, expected = FORMS[form]
    settings = parse({"from": value}, "prod", tmp_path)
    assert (settings.from_stack, settings.smoke) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"smoke": True}, "image-bakery:from.stack is missing; write the name of the stack that bakes"),
        (
            {"stack": "dev", "smoke": []},
            "image-bakery:from.smoke is []; write true, or a list of jobs of fluidrun.yaml",
        ),
        ({"stack": "dev", "smoke": 3}, "image-bakery:from.smoke is 3; write true"),
        ({"stack": "dev", "smok": True}, "unknown key 'image-bakery:from.smok'; did you mean 'smoke'?"),
    ],
)
def test_a_wrong_form_is_told_with_what_to_write(value: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as wrong:
        parse({"from": value}, "prod", tmp_path)
    assert f"Pulumi.prod.yaml:1: error: {said}" in str(wrong.value)
