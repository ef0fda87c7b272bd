#!/bin/bash -l
# A box of SPC water, made here, simulated over all tasks of the job. WATER_BOX: edge in nm; WATER_STEPS: steps of 2 fs.
set -euo pipefail

box=${WATER_BOX:-3}
steps=${WATER_STEPS:-500}
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}

gmx() { srun --mpi=pmix --nodes=1 --ntasks=1 gmx_mpi -quiet "$@"; }

gmx solvate -cs spc216.gro -box "$box" "$box" "$box" -o conf.gro
molecules=$(grep -c 'SOL *OW' conf.gro)
cat >topol.top <<END
#include "oplsaa.ff/forcefield.itp"
#include "oplsaa.ff/spc.itp"
[ system ]
Water
[ molecules ]
SOL $molecules
END
cat >min.mdp <<END
integrator = steep
nsteps = 200
coulombtype = PME
rcoulomb = 0.9
rvdw = 0.9
END
cat >md.mdp <<END
integrator = md
dt = 0.002
nsteps = $steps
coulombtype = PME
rcoulomb = 0.9
rvdw = 0.9
constraints = h-bonds
tcoupl = v-rescale
tc-grps = System
tau-t = 0.1
ref-t = 300
gen-vel = yes
gen-temp = 300
gen-seed = 1
nstenergy = 100
END
# The box is made of tiles: where they meet, molecules are too close for a first step.
gmx grompp -f min.mdp -c conf.gro -p topol.top -o min.tpr
gmx mdrun -s min.tpr -deffnm min -ntomp "$OMP_NUM_THREADS"
gmx grompp -f md.mdp -c min.gro -p topol.top -o md.tpr
srun --mpi=pmix gmx_mpi -quiet mdrun -s md.tpr -deffnm md -ntomp "$OMP_NUM_THREADS"

grep -q 'Finished mdrun' md.log || { echo "mdrun did not come to its end" >&2; exit 1; }
# At 300 K, give or take what a short run of a small box swings by.
temperature=$(echo Temperature | gmx energy -f md.edr -o temperature.xvg | awk '$1 == "Temperature" {print $2}')
awk -v t="$temperature" 'BEGIN {exit !(t > 200 && t < 400)}' || { echo "the water is at $temperature K" >&2; exit 1; }
echo "molecules: $molecules"
echo "temperature: $temperature K"
