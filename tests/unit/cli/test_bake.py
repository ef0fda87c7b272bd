"""``bakery bake`` on the fake oven."""

from __future__ import annotations

import errno
import json
import os
import pty
import signal
import time
from contextlib import nullcontext
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from bakery.errors import InputError
from bakery.library.local.library import LocalLibrary
from bakery.operations.bake import bake_all, planned
from bakery.orders.model import BakeOrder
from bakery.ovens.base import Bake, BakeOutcome
from bakery.ovens.fake import FakeOven
from bakery.progress.activity import Activity
from bakery.settings import from_file
from tests.support.checkout import COMMAND, Checkout


def library(checkout: Checkout) -> LocalLibrary:
    return LocalLibrary(from_file(checkout.root, "dev"))


def report(text: str) -> list[dict[str, object]]:
    found = json.loads(text)
    jsonschema.validate(found, json.loads(files("bakery.report").joinpath("schemas/bake.schema.json").read_text()))
    return list(found["images"])


def wait_for_line(checkout: Checkout, name: str, words: str) -> None:
    """Until a bake's log has the words."""
    deadline = time.monotonic() + 60
    while not any(words in file.read_text() for file in (checkout.root / ".bakery/logs").glob(f"{name}-*.log")):
        assert time.monotonic() < deadline, "the bake did not begin"
        time.sleep(0.05)


def test_bakes_the_family_and_what_it_stands_on_and_adopts_it_the_second_time(checkout: Checkout) -> None:
    checkout.configure(seconds=1.5, phases=["mixing"])
    done = checkout.invoke("bake", "app")
    assert done.exit_code == 0, done.stderr
    base, app = done.stdout.splitlines()
    assert base.startswith("base: base-") and " baked after " in base
    assert app.startswith("app: app-") and "log: " in app
    assert Path(app.partition("log: ")[2]).is_file()
    assert "base: mixing, " in done.stderr
    assert library(checkout).families() == {}, "a candidate: only a passed test promotes it"
    again = checkout.invoke("bake", "app", "--json")
    assert [one["outcome"] for one in report(again.stdout)] == ["adopted", "adopted"]


def test_the_digest_is_that_of_the_plan(checkout: Checkout) -> None:
    named = json.loads(checkout.invoke("plan", "--json").stdout)["images"]
    baked = report(checkout.invoke("bake", "base", "app", "--json").stdout)
    assert [(one["name"], one["digest"]) for one in baked] == [(one["name"], one["digest"]) for one in named]
    after = json.loads(checkout.invoke("plan", "--json").stdout)["images"]
    assert {one["action"] for one in after} == {"adopt"}


def test_a_package_that_the_stack_does_not_select_is_baked_too(checkout: Checkout) -> None:
    checkout.settings(oven="fake", select=["base"])
    assert checkout.invoke("bake", "app").exit_code == 0


def test_what_is_wrong_with_another_package_stops_nothing(checkout: Checkout) -> None:
    checkout.package("other", "nowhere")
    (checkout.root / "packages" / "other" / "packer.json").write_text("{")
    assert checkout.invoke("bake", "app").exit_code == 0


def test_a_failed_bake_tells_log_and_replay_and_the_others_go_on(checkout: Checkout) -> None:
    checkout.package("child", "app")
    checkout.package("other", "base")
    checkout.configure(bakes={"app": {"fail": "bake"}})
    done = checkout.invoke("bake", "child", "other", "--json")
    assert done.exit_code == 1
    found = {str(one["family"]): one for one in report(done.stdout)}
    outcomes = {family: one["outcome"] for family, one in found.items()}
    assert outcomes == {"base": "baked", "app": "failed", "child": "skipped", "other": "baked"}
    assert found["child"]["replay"] == "bakery bake child --stack dev"
    first, second = [part for part in done.stderr.split("error: ") if part.startswith(("app: ", "child: "))]
    assert "last log lines:\n  | fake: booting" in first
    assert f"log: {checkout.root}/.bakery/logs/app-" in first and "replay: " in first
    assert "was not baked: its parent app-" in second
    assert "Traceback" not in done.stderr


def test_the_replay_command_works_as_it_is_printed(checkout: Checkout) -> None:
    checkout.configure(bakes={"app": {"fail": "bake"}})
    failed = checkout.invoke("bake", "app")
    replay = next(line.removeprefix("replay: ") for line in failed.stderr.splitlines() if line.startswith("replay: "))
    checkout.configure()
    program, *arguments = replay.split()
    assert program == "bakery"
    assert checkout.invoke(*arguments).exit_code == 0


def test_every_unknown_family_and_every_problem_is_told_at_once(checkout: Checkout) -> None:
    (checkout.root / "packages" / "app" / "packer.json").write_text("{")
    done = checkout.invoke("bake", "bas", "app")
    assert done.exit_code == 2
    assert "command line:1: error: the plan has no image family bas; known: base\n" in done.stderr
    assert "command line:1: error: the plan has no image family app" in done.stderr
    assert "packages/app/packer.json:1: error: " in done.stderr
    assert not (checkout.root / ".bakery").exists()


def test_a_package_with_variants_names_its_families(checkout: Checkout) -> None:
    recipe = {"matrix": {"axes": {"compiler": ["gcc", "intel"]}}}
    (checkout.root / "packages" / "app" / "recipe.yaml").write_text(json.dumps(recipe))
    with pytest.raises(InputError, match="known: app-gcc, app-intel"):
        planned(from_file(checkout.root, "dev"), ["app"])


def test_nothing_to_bake_is_no_error() -> None:
    assert bake_all((), None, None, str) == ()  # type: ignore[arg-type]


def test_what_the_system_refuses_one_bake_does_not_stop_the_others(checkout: Checkout) -> None:
    checkout.package("other", "base")
    images = planned(from_file(checkout.root, "dev"), ["app", "other"])

    class Full:
        def bake(self, order: BakeOrder, _activity: Activity) -> Bake:
            if order.family == "app":
                raise OSError(errno.ENOSPC, "No space left on device", "/x/log")
            return Bake(order.name, BakeOutcome.BAKED, 1.0)

    done = bake_all(images, Full(), lambda _image: nullcontext(Activity()), str)
    errors = {one.image.family: one.error and one.error.render() for one in done}
    assert errors == {
        "base": None,
        "app": "/x/log: No space left on device\nreplay: app\nhint: make room, for instance: bakery prune",
        "other": None,
    }


@pytest.mark.parametrize(("options", "layers"), [((), True), (("--no-layers",), False)])
def test_a_bake_can_be_one_without_layers(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], layers: bool
) -> None:
    seen: list[bool] = []

    def bake(_self: object, order: BakeOrder, _activity: Activity) -> Bake:
        seen.append(order.layers)
        return Bake(order.name, BakeOutcome.BAKED, 1.0)

    monkeypatch.setattr(FakeOven, "bake", bake)
    assert checkout.invoke("bake", "app", *options).exit_code == 0
    assert seen == [layers, layers]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_control_c_ends_the_bake_cleanly(checkout: Checkout, number: signal.Signals) -> None:
    checkout.package("child", "app")
    checkout.configure(bakes={"app": {"seconds": 60}})
    running = checkout.start("bake", "child", "--json")
    wait_for_line(checkout, "app", "booting")
    began = time.monotonic()
    running.send_signal(number)
    stdout, stderr = running.communicate(timeout=30)
    assert running.returncode == 130
    assert time.monotonic() - began < 10
    outcomes = {one["family"]: one["outcome"] for one in report(stdout)}
    assert outcomes == {"base": "baked", "app": "stopped", "child": "stopped"}
    assert stderr.endswith("interrupted; nothing is lost, the same command continues from here\n")
    assert "error" not in stderr and "Traceback" not in stderr
    assert list((checkout.root / ".bakery" / "work").glob("bake-*")) == []
    checkout.configure()
    assert checkout.run("bake", "app").returncode == 0


def test_the_second_control_c_ends_it_at_once(checkout: Checkout) -> None:
    checkout.configure(bakes={"app": {"seconds": 60}})
    running = checkout.start("bake", "app")
    wait_for_line(checkout, "app", "booting")
    os.kill(running.pid, signal.SIGSTOP)  # so that both are there before it can end by the first
    running.send_signal(signal.SIGINT)
    running.send_signal(signal.SIGTERM)
    os.kill(running.pid, signal.SIGCONT)
    _, stderr = running.communicate(timeout=30)
    assert running.returncode == 130
    assert stderr.endswith("the next run, or `bakery recover`, clears leftovers\n")


def test_on_a_terminal_the_lines_stay_in_place(checkout: Checkout) -> None:
    checkout.configure(seconds=1.5, phases=["mixing"])
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover  the child
        os.chdir(checkout.root)
        os.execvpe(COMMAND[0], [*COMMAND, "bake", "base"], {**checkout.environment(), "TERM": "xterm"})
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 1 << 16)
        except OSError:  # the child has closed the terminal
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = shown.decode()
    assert "\x1b[2K" in text, "a line is drawn anew in its place"
    assert "mixing, 1s" in text
    assert "base: base-" in text


def test_library_and_prune_tell_of_damaged_files_and_verify_reads_them(checkout: Checkout) -> None:
    assert checkout.invoke("bake", "base").exit_code == 0
    (file,) = (checkout.root / ".bakery/library/images").glob("*.qcow2")
    assert checkout.invoke("library", "--verify").exit_code == 0
    file.chmod(0o644)
    file.write_text(file.read_text().replace('"', "'"))
    assert "warning" not in checkout.invoke("library").output
    verified = checkout.invoke("library", "--verify")
    assert verified.exit_code == 1 and f"warning: the content of {file} has changed" in verified.output
    file.write_text("cut")
    for command in ("library", "prune"):
        done = checkout.invoke(command)
        assert done.exit_code == 0 and f"warning: {file} has 3 bytes" in done.output
