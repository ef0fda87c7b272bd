"""Plan the packages of a folder once, as ``bakery plan`` does it, and print figures: what ``plan_1000.py`` measures.

Run: python benchmarks/_plan_once.py FOLDER. It imports nothing that a plan does not need.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def work(root: Path) -> None:
    """Plan the packages below ``root``, with the cache below it."""
    begin = time.perf_counter()
    from bakery.preview.plan_report import plan_report
    from bakery.report.plan import to_json
    from bakery.settings import parse

    ready = time.perf_counter()
    os.environ["XDG_CACHE_HOME"] = str(root / "cache")
    report = to_json(plan_report(parse({"oven": "fake"}, "bench", root)))
    done = time.perf_counter()
    wrong = [problem for problem in report["problems"] if problem["severity"] == "error"]
    assert not wrong, wrong[:5]
    figures = {
        "images": len(report["images"]),
        "digests": [image["digest"] for image in report["images"]],
        "import": ready - begin,
        "plan": done - ready,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures), flush=True)
    os._exit(0)  # as the command ends: nothing that it made is freed one by one


if __name__ == "__main__":
    work(Path(sys.argv[1]))
