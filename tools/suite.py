"""Runs the test suite in stages and closes with one summary: ``suite.py STAGE... [pytest options]``.

Every stage runs, even after a failed one, and a stage without tests is a failure. The summary lists each skipped test
with its reason. In CI, where everything is installed, one whose reason is not in ``EXPECTED_SKIPS`` is a failure. The
exit code is 0 only if all stages succeeded.
"""

import os
import re
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / ".bakery" / "tests"
CLIENTS = Path(sysconfig.get_path("purelib")) / "google" / "cloud"

# Engines mostly wait, and so do many fast tests. Neighbours share what a module or a first call makes, so each worker
# takes a run of neighbours; idle workers steal from it.
WORKERS = ("-n", str(2 * (os.cpu_count() or 1)), "--dist=worksteal", "--timeout-method=thread")
# A test that hangs fails with the stacks of all threads, and the others continue. The limits are many times the time of
# the slowest test (of machines, the one with the first `make up`). A fast or engine worker is ended (thread), as it may
# hang in C. Machines are tested one after the other: two files at a time wait for each other's slots, and took longer.
STAGES = {
    "fast": ("-m", "not engine and not machines and not spack and not slow", *WORKERS, "--timeout=600"),
    "engine": ("-m", "engine and not machines and not slow", *WORKERS, "--timeout=1200"),
    "machines": ("-m", "machines and not spack and not slow", "--timeout=3600"),
    "chaos": ("tests/engine/test_chaos.py", "-rs", *WORKERS, "--timeout=1200"),
    "chaos-machines": ("tests/machines/strikes.py", "-rs"),
    "slow": ("-m", "slow and not rcc", "--timeout=7200"),
    "rcc": ("-m", "rcc", "--timeout=7200"),
    "spack": ("-m", "spack"),
    "gcp": ("-m", "gcp"),
}
# Reasons that are right in CI as well: patterns that match all of a skip's reason.
EXPECTED_SKIPS = (
    # checkouts of one's own, see docs/developing.md
    "RCC_APPS names no checkout of rcc-apps",
    "RCC_TF names no checkout of rcc-tf",
    "CLUSTER_TOOLKIT names no checkout of Cluster Toolkit",
    "root reads everything",  # CI is root, and an ordinary user tests the rest
    "becomes an ordinary user, which only root can",
    "the suite runs on the system's Python",  # the test is for the system's Python as another one
    "the system's Python is .+",
    "no second file system here",
    "there is no gcloud",  # of Google's own packages, which the set-up does not install
    r"\S+ was not alive in \S+ in \d+ tries; .+",  # the moment to strike did not come
)


@dataclass(frozen=True)
class Skip:
    """A skipped test: its name, and why."""

    test: str
    reason: str

    @property
    def expected(self) -> bool:
        """Whether the reason is one of ``EXPECTED_SKIPS``."""
        return any(re.fullmatch(pattern, self.reason) for pattern in EXPECTED_SKIPS)

    def __str__(self) -> str:
        return f"{'skipped' if self.expected else 'UNEXPECTED SKIP'}: {self.test}: {self.reason}"


@dataclass(frozen=True)
class Outcome:
    """One stage: its exit code, wall seconds, how many tests passed and failed, and those that were skipped."""

    stage: str
    code: int
    seconds: float
    passed: int = 0
    failed: int = 0
    skips: tuple[Skip, ...] = ()

    @property
    def skipped(self) -> int:
        """The number of skipped tests."""
        return len(self.skips)

    def __str__(self) -> str:
        state = "ok" if self.code == 0 else "no tests" if self.code == 5 else "FAILED"
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        return f"{self.stage:<10}{state:<10}{counts:<42}{self.seconds:7.1f} s"


def count(report: Path) -> tuple[int, int, tuple[Skip, ...]]:
    """Return the passed, the failed and the skipped tests of a JUnit report; none if there is no report."""
    if not report.exists():
        return 0, 0, ()
    tree = ElementTree.parse(report)
    numbers = [
        [int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")]
        for suite in tree.iter("testsuite")
    ]
    total, failures, errors, skipped = (sum(column) for column in zip(*numbers, strict=True))
    skips = [
        Skip(f"{case.get('classname')}.{case.get('name')}", reason.get("message", ""))
        for case in tree.iter("testcase")
        for reason in case.iter("skipped")
    ]
    return total - failures - errors - skipped, failures + errors, tuple(skips)


def environment() -> dict[str, str]:
    """Return the caller's environment, with a separate folder for compiled modules.

    The suite starts hundreds of Python processes, and pulumi-gcp alone takes five seconds to compile. Some environments
    disable compiled files, and no test may find them in a checkout.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(REPORTS / "pycache")}


def compile_modules() -> None:
    """In a fresh clone, compile what the tests import: each worker would do it all, and at the same time.

    Google's clients are half of it, and cores can share files, but not a collection. A faulty module is reported by the
    stage that imports it.
    """
    if Path(environment()["PYTHONPYCACHEPREFIX"]).exists():
        return
    print("\n--- compiling what the tests import", flush=True)
    for command in (("compileall", "-q", "-j", "0", str(CLIENTS)), ("pytest", "--collect-only", "-q")):
        subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, check=False, env=environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
        )  # fmt: skip


def run(stage: str, options: list[str]) -> Outcome:
    """Run one stage with its output on the terminal."""
    report = REPORTS / f"{stage}.xml"
    report.unlink(missing_ok=True)
    print(f"\n--- {stage} tests", flush=True)
    command = [sys.executable, "-m", "pytest", *STAGES[stage], "--durations=10", f"--junitxml={report}", *options]
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, check=False, env=environment()).returncode
    return Outcome(stage, code, time.monotonic() - started, *count(report))


def main(arguments: list[str]) -> int:
    """Run the named stages and print the summary."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    stages = [word for word in arguments if word in STAGES]
    options = [word for word in arguments if word not in STAGES]
    if not stages:
        print(f"no stage is named: give one or more of {', '.join(STAGES)}")
        return 2
    compile_modules()
    return summarize([run(stage, options) for stage in stages], in_ci=os.environ.get("CI") == "true")


def summarize(outcomes: list[Outcome], *, in_ci: bool) -> int:
    """Print stages, skips and the closing line; return the exit code."""
    print("\n--- summary")
    print(*outcomes, sep="\n")
    skips = [skip for outcome in outcomes for skip in outcome.skips]
    print(*skips, sep="\n", end="\n" if skips else "")
    unexpected = in_ci and not all(skip.expected for skip in skips)
    if unexpected:
        print("a test that CI has to run was skipped: install what it lacks, or add its reason to tools/suite.py")
    passed, failed = sum(one.passed for one in outcomes), sum(one.failed for one in outcomes)
    print(f"{passed} passed, {failed} failed, {len(skips)} skipped")
    return max((*(outcome.code for outcome in outcomes), int(unexpected)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
