"""Runs the test suite in stages and closes with one summary: ``suite.py STAGE... [pytest options]``.

Every stage runs, even after a failed one, and a stage without tests is a failure. The exit code is 0 only if all stages
succeeded.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / ".bakery" / "tests"

# Engines mostly wait, and so do many fast tests. Neighbours share what a module or a first call makes, so each worker
# takes a run of neighbours; idle workers steal from it.
WORKERS = ("-n", str(2 * (os.cpu_count() or 1)), "--dist=worksteal", "--timeout-method=thread")
# A test that hangs fails with the stacks of all threads, and the others continue. The limits are many times the time of
# the slowest test (of machines, the one with the first `make up`). A fast or engine worker is ended (thread), as it may
# hang in C. Machines are tested one after the other: two files at a time wait for each other's slots, and took longer.
STAGES = {
    "fast": ("-m", "not engine and not machines and not spack", *WORKERS, "--timeout=600"),
    "engine": ("-m", "engine and not machines", *WORKERS, "--timeout=1200"),
    "machines": ("-m", "machines and not spack", "--timeout=3600"),
    "chaos": ("tests/engine/test_chaos.py", "-rs", *WORKERS, "--timeout=1200"),
    "chaos-machines": ("tests/machines/strikes.py", "-rs"),
    "slow": ("tests/machines/cloud_bakes.py", "-rs", "--timeout=900"),
    "spack": ("-m", "spack"),
    "gcp": ("-m", "gcp"),
}


@dataclass(frozen=True)
class Outcome:
    """One stage: its exit code, wall seconds, and how many tests passed, failed and were skipped."""

    stage: str
    code: int
    seconds: float
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        state = "ok" if self.code == 0 else "no tests" if self.code == 5 else "FAILED"
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        return f"{self.stage:<10}{state:<10}{counts:<42}{self.seconds:7.1f} s"


def count(report: Path) -> tuple[int, int, int]:
    """Return the passed, failed and skipped tests of a JUnit report; zeros if there is no report."""
    if not report.exists():
        return 0, 0, 0
    suites = ElementTree.parse(report).getroot().iter("testsuite")
    numbers = [[int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")] for suite in suites]
    total, failures, errors, skipped = (sum(column) for column in zip(*numbers, strict=True))
    return total - failures - errors - skipped, failures + errors, skipped


def environment() -> dict[str, str]:
    """Return the caller's environment, with a separate folder for compiled modules.

    The suite starts hundreds of Python processes, and pulumi-gcp alone takes five seconds to compile. Some environments
    disable compiled files, and no test may find them in a checkout.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(REPORTS / "pycache")}


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
    outcomes = [run(stage, options) for stage in stages]
    print("\n--- summary")
    print(*outcomes, sep="\n")
    passed, failed, skipped = (sum(getattr(each, key) for each in outcomes) for key in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return max((outcome.code for outcome in outcomes), default=2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
