"""A stack's file is changed in one place; comments and everything else stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bakery.errors import BakeryError
from bakery.settings import from_file
from bakery.settings.edit import with_entry

FILE = """\
# the stack of the tests
encryptionsalt: v1:abc
config:
  # where it bakes
  image-bakery:oven: fake # not a real one
  image-bakery:pins:
    # broke MPI, see ticket 12
    hpcc: hpcc-0123456789ab # until it is mended
    wrf: "wrf-0123456789ab"

  # kept for a while
  image-bakery:retentionDays: 60
"""
SETTING = "image-bakery:pins"
PINS = {"hpcc": "hpcc-0123456789ab", "wrf": "wrf-0123456789ab"}


def pins_of(text: str, folder: Path) -> dict[str, str]:
    (folder / "Pulumi.dev.yaml").write_text(text, encoding="utf-8")
    return dict(from_file(folder, "dev").pins)


def test_an_entry_is_changed_added_and_removed_in_its_line() -> None:
    changed = with_entry(FILE, SETTING, PINS, "hpcc", "hpcc-ffffffffffff")
    assert changed == FILE.replace("hpcc-0123456789ab", "hpcc-ffffffffffff")
    added = with_entry(FILE, SETTING, PINS, "amber", "amber-ffffffffffff")
    assert added == FILE.replace(
        '    wrf: "wrf-0123456789ab"\n', '    wrf: "wrf-0123456789ab"\n    amber: amber-ffffffffffff\n'
    )
    assert with_entry(added, SETTING, {**PINS, "amber": "amber-ffffffffffff"}, "amber", "") == FILE
    assert with_entry(FILE, SETTING, PINS, "wrf", "") == FILE.replace('    wrf: "wrf-0123456789ab"\n', "")


def test_the_setting_goes_with_its_last_entry_and_comes_with_its_first() -> None:
    only = with_entry(FILE, SETTING, PINS, "wrf", "")
    without = with_entry(only, SETTING, {"hpcc": PINS["hpcc"]}, "hpcc", "")
    assert "pins" not in without and "encryptionsalt: v1:abc" in without and "# kept for a while" in without
    again = with_entry(without, SETTING, {}, "wrf", PINS["wrf"])
    assert again == f"{without}  image-bakery:pins:\n    wrf: wrf-0123456789ab\n"


BEFORE = [
    "",
    "config:\n",
    "config: {}\n",
    "# nothing yet\n",
    "encryptionsalt: v1:abc",
    "config:\n    image-bakery:oven: fake",
    "config:\n  image-bakery:oven: fake\nenvironment: []\n",
    "config:\n  image-bakery:fake: {seconds: 1}\n",
    "config:\n  image-bakery:lock: |\n    a\n  image-bakery:oven: fake\n# the end\n",
    "config:\n  image-bakery:select:\n    - a\n    - b\n\n# the end\n",
    'config:\n  image-bakery:pins: \'{"wrf": "wrf-0123456789ab"}\'\n',
    "config:\n  image-bakery:pins: {wrf: wrf-0123456789ab}\n  image-bakery:oven: fake\n",
    "config:\n  image-bakery:pins:\n  image-bakery:oven: fake\n",
    "config:\n  image-bakery:config:pins:\n    wrf: wrf-0123456789ab\n",
    "config:\n  image-bakery:pins:\n    hpcc: hpcc-123456789012\n    wrf: wrf-0123456789ab",
]


@pytest.mark.parametrize("text", BEFORE)
def test_every_form_of_a_file_takes_a_pin_and_gives_it_back(text: str, tmp_path: Path) -> None:
    before = pins_of(text, tmp_path)
    after = with_entry(text, SETTING, before, "hpcc", "hpcc-ffffffffffff")
    assert pins_of(after, tmp_path) == before | {"hpcc": "hpcc-ffffffffffff"}
    assert [line for line in after.splitlines() if "#" in line] == [line for line in text.splitlines() if "#" in line]
    others = {key: value for key, value in before.items() if key != "hpcc"}
    assert pins_of(with_entry(after, SETTING, {**others, "hpcc": "hpcc-ffffffffffff"}, "hpcc", ""), tmp_path) == others


def test_pins_of_the_project_are_taken_along(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: image-bakery\nconfig: {pins: {value: {wrf: wrf-1}}}\n")
    assert pins_of("", tmp_path) == {"wrf": "wrf-1"}
    after = with_entry("", SETTING, {"wrf": "wrf-1"}, "hpcc", "hpcc-1")
    assert pins_of(after, tmp_path) == {"wrf": "wrf-1", "hpcc": "hpcc-1"}


def test_what_cannot_be_changed_is_said_with_what_to_write() -> None:
    text = "config: &c {image-bakery:oven: fake}\n"
    with pytest.raises(BakeryError, match="cannot be changed") as caught:
        with_entry(text, SETTING, {}, "hpcc", "hpcc-1")
    assert caught.value.hint == "write below config:\n  image-bakery:pins:\n    hpcc: hpcc-1"


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True) | st.sampled_from(["null", "true", "on", "no"])
PINS_OF = st.dictionaries(NAMES, NAMES, max_size=3)
KEYS = st.sampled_from(["aws:region", "image-bakery:oven", "image-bakery:local", "image-bakery:zeta"])
LEAVES = NAMES | st.integers() | st.text(max_size=20)
VALUES = st.recursive(LEAVES, lambda some: st.lists(some, max_size=2) | st.dictionaries(NAMES, some, max_size=2))


@given(st.dictionaries(KEYS, VALUES, max_size=4), PINS_OF, NAMES, NAMES)
def test_any_file_takes_a_pin_and_is_the_same_without_it(
    others: dict[str, object], pins: dict[str, str], name: str, value: str
) -> None:
    pins.pop(name, None)
    config = others | ({SETTING: pins} if pins else {})
    text = yaml.safe_dump({"config": config, "zz": 1}, default_flow_style=False, allow_unicode=True)
    after = with_entry(text, SETTING, pins, name, value)
    assert with_entry(after, SETTING, {**pins, name: value}, name, "") == text.replace("config: {}", "config: ")
