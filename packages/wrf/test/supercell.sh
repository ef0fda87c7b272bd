#!/bin/bash -l
# WRF's idealised supercell (em_quarter_ss) over all tasks of the job. WRF_MINUTES: simulated time.
set -euo pipefail

minutes=${WRF_MINUTES:-2}

# run WORD ARGUMENTS...: one of WRF's programs; what it says, also why it failed, stands in files.
run() {
  local word=$1
  shift
  if srun --mpi=pmix "$@" && grep -q "SUCCESS COMPLETE $word" rsl.out.0000; then return; fi
  if [[ -f rsl.error.0000 ]]; then tail -n 20 rsl.error.0000 >&2; fi
  exit 1
}

# Links: the two programs have 90 MB, which no job has to leave behind.
cp -rs "$WRF_IDEAL/test/em_quarter_ss" case
cd case
for program in ideal.exe wrf.exe; do
  [[ -e $program ]] || ln -s "$(find "$WRF_IDEAL/" -name "$program" -print -quit)" "$program"
done
sed -i -E \
  -e "s/^( *run_days *=).*/\1 0,/; s/^( *run_hours *=).*/\1 0,/; s/^( *run_minutes *=).*/\1 $minutes,/" \
  -e 's/^( *run_seconds *=).*/\1 0,/' namelist.input
run IDEAL --nodes=1 --ntasks=1 ./ideal.exe
run WRF ./wrf.exe
awk '/Timing for main/ {for (i = 1; i < NF; i++) if ($(i + 1) == "elapsed") {sum += $i; n++}}
     END {if (n == 0) exit 1; printf "steps: %d\nseconds a step: %.4f\n", n, sum / n}' rsl.out.0000
