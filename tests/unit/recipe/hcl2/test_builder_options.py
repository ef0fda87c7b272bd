"""Options of a source that its plugin does not know are said with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import hcl2_tree

UNKNOWN = "has no option %s in version 1.2.5 of its plugin: Packer refuses the template"


@pytest.mark.parametrize(
    ("option", "message", "hint"),
    [
        ("machine_typ = 1", UNKNOWN % "machine_typ", "write machine_type, or remove it"),
        ("disk_attachments {}", UNKNOWN % "disk_attachments", "write disk_attachment, or remove it"),
        ("q = 1", UNKNOWN % "q", "remove it, or see the reference of the plugin"),
        ("disk_size = 30", None, None),
        ("labels = null", None, None),
    ],
)
def test_an_option_that_the_plugin_does_not_know(
    tmp_path: Path, option: str, message: str | None, hint: str | None
) -> None:
    source = hcl2_tree.SOURCE.replace('"app" {\n', f'"app" {{\n  {option}\n', 1)
    found = hcl2_tree.problems(tmp_path, {"app.pkr.hcl": source + hcl2_tree.BUILD})
    if message is None:
        assert found == ()
        return
    (problem,) = found
    line = source.split(option, maxsplit=1)[0].count("\n") + 1
    assert (problem.severity, problem.line, problem.hint) == ("warning", line, hint)
    assert message in problem.message
