"""Programs named sbatch, scontrol and scancel that keep their state in files, for tests that submit jobs.

``FAKE_SLURM`` names the file of jobs. A job whose script is there runs at once; ``FAKE_CODE_<n>`` and
``FAKE_STATE_<n>`` say how job n ends otherwise, ``FAKE_REASON_<n>`` why it waits.
"""

from __future__ import annotations

import stat
import sys
from pathlib import Path

SBATCH = """
import json, os, subprocess, sys
state = os.environ["FAKE_SLURM"]
jobs = [json.loads(line) for line in open(state)] if os.path.exists(state) else []
if "--refuse" in sys.argv:
    sys.exit("sbatch: error: no such partition")
environment = {key: os.environ.get(key) for key in ("WORKSPACE", "PROJECT", "GIT_SHA", "GCE_IMAGE")}
job = {"id": len(jobs) + 1, "words": sys.argv[1:], "env": environment, "cwd": os.getcwd()}
script = next((word for word in sys.argv[1:] if os.path.isfile(word) and os.access(word, os.X_OK)), None)
if script:
    with open(sys.argv[sys.argv.index("-o") + 1], "w") as out:
        job["code"] = f"{subprocess.call([script], stdout=out, stderr=out)}:0"
with open(state, "a") as sink:
    sink.write(json.dumps(job) + "\\n")
print(f"{len(jobs) + 1};cluster")
"""
SCONTROL = """
import json, os
for line in open(os.environ["FAKE_SLURM"]):
    job = json.loads(line)
    code = job.get("code") or os.environ.get("FAKE_CODE_%d" % job["id"], "0:0")
    state = os.environ.get("FAKE_STATE_%d" % job["id"], "COMPLETED" if code == "0:0" else "FAILED")
    reason = os.environ.get("FAKE_REASON_%d" % job["id"], "JobHeldUser")
    facts = f"Reason={reason} RunTime=00:00:09 NumNodes=2 NumCPUs=4 NodeList=n Partition=p"
    print(f"JobId={job['id']} JobState={state} ExitCode={code} {facts}")
"""
SCANCEL = "import os, sys; os.environ; open(os.environ['FAKE_SLURM'] + '.cancelled', 'a').write(sys.argv[1] + ' ')"


def install(home: Path) -> Path:
    """Put the programs into ``<home>/bin``, where a login shell of that home finds them; returns the folder.

    A login shell reads /etc/profile, which sets PATH again, and then the home's own profile.
    """
    place = home / "bin"
    place.mkdir(parents=True)
    for name, text in (("sbatch", SBATCH), ("scontrol", SCONTROL), ("scancel", SCANCEL)):
        (place / name).write_text(f"#!{sys.executable}\n{text}")
        (place / name).chmod(stat.S_IRWXU)
    (home / ".bash_profile").write_text(f'export PATH="{place}:$PATH"\n')
    return place
