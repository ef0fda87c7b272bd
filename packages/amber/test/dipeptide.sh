#!/bin/bash -l
# Alanine dipeptide in a box of water, made here with tleap, over all tasks of the job. AMBER_STEPS: steps of 2 fs.
set -euo pipefail

steps=${AMBER_STEPS:-500}

cat >leap.in <<'END'
source leaprc.protein.ff14SB
source leaprc.water.tip3p
molecule = sequence { ACE ALA NME }
solvateBox molecule TIP3PBOX 12.0
saveAmberParm molecule system.prmtop system.inpcrd
quit
END
tleap -f leap.in
cat >min.in <<'END'
minimise
&cntrl imin=1, maxcyc=100, ncyc=50, cut=8.0, ntb=1 /
END
cat >md.in <<END
heat from 100 K
&cntrl imin=0, irest=0, ntx=1, nstlim=$steps, dt=0.002, ntc=2, ntf=2, cut=8.0, ntb=1, ntt=3, gamma_ln=2.0,
  tempi=100.0, temp0=300.0, ig=1, ntpr=50, ntwx=0, ntwr=$steps /
END
srun --mpi=pmix pmemd.MPI -O -i min.in -o min.out -p system.prmtop -c system.inpcrd -r min.rst
srun --mpi=pmix pmemd.MPI -O -i md.in -o md.out -p system.prmtop -c min.rst -r md.rst
grep -q 'Total wall time' md.out || { tail -n 20 md.out >&2; exit 1; }
if grep -qE '\bNaN\b|\*{7}' md.out; then
  echo "the energies are no numbers" >&2
  exit 1
fi
grep 'ns/day' md.out | tail -n 1
