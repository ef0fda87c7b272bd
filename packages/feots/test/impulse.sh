#!/bin/bash -l
# FEOTS' first two tools on a made ocean: the mesh of a POP file, then the impulse fields of the Lax-Wendroff stencil (a
# graph colouring of all wet cells). OCEAN: edge of the basin in cells.
set -euo pipefail

edge=${OCEAN:-20}
levels=10
mkdir -p db/mesh db/irf/impulse

# A flat basin with a coast around it, in the variables of a POP history file.
python3 - "$edge" "$levels" >pop.cdl <<'END'
import sys

edge, levels = map(int, sys.argv[1:])
cells = [(i, j) for j in range(edge) for i in range(edge)]


def field(value):
    return ", ".join(f"{value(i, j):.6f}" for i, j in cells)


def column(value):
    return ", ".join(f"{value(k):.1f}" for k in range(levels))


wet = [levels if 0 < i < edge - 1 and 0 < j < edge - 1 else 0 for i, j in cells]
print(f"netcdf pop {{\ndimensions: nlon = {edge}; nlat = {edge}; z_t = {levels}; z_w_top = {levels};\nvariables:")
for name in ("TLONG", "TLAT", "DXT", "DYT", "TAREA"):
    print(f"double {name}(nlat, nlon);")
print("int KMT(nlat, nlon); double z_t(z_t); double dz(z_t); double dzw(z_t);\ndata:")
print(f"TLONG = {field(lambda i, j: 300 + i * 0.1)};")
print(f"TLAT = {field(lambda i, j: -40 + j * 0.1)};")
print(f"DXT = {field(lambda i, j: 1e6)};\nDYT = {field(lambda i, j: 1e6)};\nTAREA = {field(lambda i, j: 1e12)};")
print(f"KMT = {', '.join(map(str, wet))};")
print(f"z_t = {column(lambda k: 500 + 1000 * k)};\ndz = {column(lambda k: 1000)};\ndzw = {column(lambda k: 1000)};\n}}")
END
ncgen -o pop.nc pop.cdl

cat >runtime.params <<'END'
&POPMeshOptions
MeshType = 'PeriodicTripole',
StencilType = 'LaxWendroff27',
Regional = .FALSE.,
/
&TracerModelOptions
/
&OperatorOptions
/
&FileOptions
/
&JFNKOptions
/
END
feots popmesh --param-file runtime.params --irf pop.nc --dbroot db
[[ -s db/mesh/mesh.nc ]] || { echo "popmesh wrote no mesh" >&2; exit 1; }
start=$(date +%s.%N)
feots impulse --param-file runtime.params --dbroot db | tee impulse.log
[[ -s db/irf/impulse/ImpulseFields.nc ]] || { echo "impulse wrote no fields" >&2; exit 1; }
# The stencil spans 27 cells: fewer colours would let impulses overlap.
grep -qE 'completed with +27 +colors' impulse.log || { echo "not 27 colours" >&2; exit 1; }
awk -v start="$start" -v end="$(date +%s.%N)" -v cells="$(((edge - 2) * (edge - 2) * levels))" \
  'BEGIN {printf "wet cells: %d\ncolouring: %.1f cells/s\n", cells, cells / (end - start)}'
