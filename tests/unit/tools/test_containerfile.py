"""The container image, as far as it can be looked at without building it."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.support.root import ROOT

FILE = ROOT / "tools" / "Containerfile"


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """Its instructions: word and rest, continued lines joined, comments left out."""
    text = re.sub(r"(?m)^#.*\n", "", FILE.read_text()).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def of(steps: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for name, rest in steps if name == word]


def test_all_that_python_needs_is_locked_by_hash_and_the_bakery_is_its_wheel(steps: list[tuple[str, str]]) -> None:
    installs = re.findall(r"pip install [^&]*", " ".join(of(steps, "RUN")))
    assert len(installs) == 2
    assert "--no-deps --require-hashes --requirement builder.lock --requirement gcp.lock" in installs[0]
    assert "--no-deps /wheel/*.whl" in installs[1]


def test_the_locks_that_it_installs_are_what_the_bakery_requires_without_its_tests() -> None:
    held = set(re.findall(r"(?m)^([\w.-]+==[^ ]+)", (ROOT / "tools/builder.lock").read_text()))
    lock = (ROOT / "requirements.lock").read_text()
    select = next(rest for rest in re.findall(r"RUN sed '([^']+)' requirements.lock", FILE.read_text()))
    taken = subprocess.run(["sed", select], input=lock, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"(?m)^([\w.-]+)==", taken) == ["pulumi-gcp"]
    assert "--hash=sha256:" in taken
    assert held < set(re.findall(r"(?m)^([\w.-]+==[^ ]+)", lock))


def test_what_the_local_oven_needs_is_the_table_that_the_doctor_reads(steps: list[tuple[str, str]]) -> None:
    (line,) = [rest for rest in of(steps, "RUN") if "system_tools.tsv" in rest]
    select = re.search(r"(cut .*?) /tmp/system_tools.tsv (\| sed '/\^#/d' \| sort --unique)", line)
    assert select is not None
    table = ROOT / "bakery/backends/local/system_tools.tsv"
    command = f"{select[1]} {table} {select[2]}"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout.split()
    rows = [row.split("\t") for row in table.read_text().splitlines() if not row.startswith("#")]
    assert found == sorted({row[1] for row in rows})


def test_it_has_no_version_of_its_own_and_no_root(steps: list[tuple[str, str]]) -> None:
    labels = " ".join(of(steps, "LABEL"))
    assert "org.opencontainers.image.version=$VERSION" in labels
    assert of(steps, "USER") == ["1000"]
    script = (ROOT / "tools/container.sh").read_text()
    assert "bakery/version.py" in script


def test_shellcheck_has_nothing_to_say(steps: list[tuple[str, str]]) -> None:
    script = "#!/bin/bash\n" + "\n".join(of(steps, "RUN")) + "\n"
    checked = subprocess.run(["shellcheck", "-"], input=script, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
