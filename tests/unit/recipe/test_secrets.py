"""The search of a machine for the secrets of its bake."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from bakery.recipe import secrets
from bakery.recipe.secrets import left, search

VALUE = "a-licence-of-many-words"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nshort\n  indented line \r\n-----END KEY-----\n"


@dataclass
class Machine:
    """A folder with a machine's root and its secrets, which is searched as the machine would be."""

    folder: Path

    @property
    def top(self) -> Path:
        return self.folder / "top"

    def given(self, name: str, value: bytes) -> None:
        (self.folder / "secrets").mkdir(exist_ok=True)
        (self.folder / "secrets" / name).write_bytes(value)
        subprocess.run(["touch", "-d", "1 day ago", str(self.folder / "secrets/.since")], check=True)

    def write(self, path: str, content: bytes) -> Path:
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def search(self, mounts: str = "") -> subprocess.CompletedProcess[str]:
        self.top.mkdir(exist_ok=True)
        (self.folder / "mounts").write_text(mounts)
        (step,) = search(str(self.folder / "secrets"), str(self.top), str(self.folder / "mounts"))
        script = "\n".join(('sudo() { shift; "$@"; }', *step["inline"]))
        return subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=False)

    def found(self, mounts: str = "") -> str:
        done = self.search(mounts)
        text = left(f"==> google: {done.stderr}")
        assert (done.returncode == 0) == (text == ""), done.stderr
        return text.replace(f"{self.top}/", "/")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_file_with_the_value_is_named_and_the_value_is_not(machine: Machine) -> None:
    machine.given("licence", f"{VALUE}\n".encode())
    machine.given("token", b"0123456789abcdef")
    machine.write("etc/fine.conf", b"key = /run/bakery-secrets/licence\n")
    assert machine.found() == ""
    machine.write("etc/app.conf", f"key = {VALUE};\n".encode())
    machine.write("opt/a b/blob", b"\0\xff" * 999 + b"0123456789abcdef" + VALUE.encode() + b"\0")
    assert machine.found() == (
        "/etc/app.conf has the value of the secret licence; /opt/a b/blob has the value of the secret licence; "
        "/opt/a b/blob has the value of the secret token; let the recipe delete it, or read it only during the bake"
    )
    done = machine.search()
    assert VALUE not in done.stdout + done.stderr
    names = sorted(file.name for file in (machine.folder / "secrets").iterdir())
    assert names == [".found", ".since", "licence", "token"]


def test_each_line_is_a_secret_but_the_armour_of_a_key_and_short_ones_are_none(machine: Machine) -> None:
    machine.given("key", KEY.encode())
    machine.write("usr/lib/libcrypto.so", b"\0-----BEGIN PRIVATE KEY-----\0short\0")
    assert machine.found() == ""
    machine.write("root/half", b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC")
    machine.write("root/other", b"an indented line!")
    assert "/root/half has the value of the secret key; /root/other has" in machine.found()


def test_a_value_of_bytes_is_looked_for_by_its_parts(machine: Machine) -> None:
    machine.given("bytes", b"\0\0\x80\x81\x82\x83\x84\x85\x86\x87\0ab")
    machine.write("etc/ab", b"ab")
    assert machine.found() == ""
    machine.write("etc/part", b"xx\x80\x81\x82\x83\x84\x85\x86\x87xx")
    assert machine.found().startswith("/etc/part has the value of the secret bytes; let")


def test_a_short_value_is_not_looked_for_and_the_log_says_so(machine: Machine) -> None:
    machine.given("pin", b"1234567\n")
    machine.given("token", b"12345678\n")
    machine.write("etc/numbers", b"1234567")
    done = machine.search()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "bakery: no line of the secret pin has 8 bytes: the image is not searched for it\n"


def test_what_was_there_before_is_not_read_again(machine: Machine) -> None:
    machine.given("token", b"0123456789abcdef")
    machine.write("etc/old", b"0123456789abcdef")
    subprocess.run(["touch", "-d", "1 hour", str(machine.folder / "secrets/.since")], check=True)
    assert machine.found() == ""


def test_other_disks_of_the_machine_are_searched_and_what_is_in_memory_is_not(machine: Machine) -> None:
    machine.given("token", b"0123456789abcdef")
    for name in ("boot", "memory"):
        (machine.folder / name).mkdir()
        (machine.folder / name / "file").write_bytes(b"0123456789abcdef")
    at = machine.folder
    mounts = f"tmpfs {at}/memory tmpfs rw 0 0\nproc /proc proc rw 0 0\n/dev/sda2 {at}/boot ext4 rw 0 0\n"
    assert machine.found(mounts).startswith(f"{at}/boot/file has the value of the secret token; let")


def test_ten_files_are_enough_to_name(machine: Machine) -> None:
    machine.given("token", b"0123456789abcdef")
    for number in range(30):
        machine.write(f"etc/{number}", b"0123456789abcdef")
    assert machine.found().count("has the value") == 10


def test_the_script_is_sound_shell() -> None:
    text = f"#!/bin/sh\n{secrets._SEARCH}\n"
    done = subprocess.run(["shellcheck", "-"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_log_without_a_report_has_none_left() -> None:
    assert left("bakery: the machine has the value of speed\n") == ""
