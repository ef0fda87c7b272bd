#!/bin/bash -l
# The dam break of the tutorials over all tasks of the job. DAM_REFINE: into how many parts each edge of a cell is cut; DAM_END: end
# of the simulated time in seconds.
set -euo pipefail

refine=${DAM_REFINE:-2}
end=${DAM_END:-0.1}
ranks=${SLURM_NTASKS:?run me with sbatch}

cp -r "$FOAM_TUTORIALS/multiphase/interFoam/laminar/damBreak/damBreak" case
cd case
if [[ -d 0.orig ]]; then rm -rf 0 && cp -r 0.orig 0; fi
cat >system/decomposeParDict <<END
FoamFile { version 2.0; format ascii; class dictionary; object decomposeParDict; }
numberOfSubdomains $ranks;
method scotch;
END
python3 - "$refine" <<'END'
import re
import sys
from pathlib import Path

times = int(sys.argv[1])
file = Path("system/blockMeshDict")
cells = re.compile(r"\((\d+) (\d+) 1\)(?=\s+simpleGrading)")
text, count = cells.subn(lambda m: f"({times * int(m[1])} {times * int(m[2])} 1)", file.read_text())
assert count, "blockMeshDict has no blocks"
file.write_text(text)
END
foamDictionary -entry endTime -set "$end" system/controlDict
foamDictionary -entry writeInterval -set "$end" system/controlDict
blockMesh >log.blockMesh
setFields >log.setFields
decomposePar >log.decomposePar
srun --mpi=pmix interFoam -parallel >log.interFoam
grep -q '^End' log.interFoam || { tail -n 20 log.interFoam >&2; exit 1; }
grep 'nCells' log.blockMesh
grep -o 'Phase-1 volume fraction = [0-9.]*' log.interFoam | tail -n 1 # no water may get lost
grep ExecutionTime log.interFoam | tail -n 1
