#!/bin/bash -l
# Contours of a wavelet over all tasks of the job. WAVELET: half the edge of the grid, in cells.
set -euo pipefail

export WAVELET=${WAVELET:-40}
cat >contour.py <<'END'
import os
import time

from paraview.simple import Contour, UpdatePipeline, Wavelet

half = int(os.environ["WAVELET"])
wavelet = Wavelet(WholeExtent=[-half, half] * 3)
start = time.perf_counter()
UpdatePipeline(proxy=wavelet)
made = time.perf_counter()
contour = Contour(Input=wavelet, ContourBy=["POINTS", "RTData"], Isosurfaces=[100.0, 150.0, 200.0])
UpdatePipeline(proxy=contour)
end = time.perf_counter()
triangles = contour.GetDataInformation().GetNumberOfCells()
assert triangles > 1000, triangles
points = (2 * half + 1) ** 3
print(f"triangles: {triangles}")
print(f"wavelet: {points / (made - start) / 1e6:.3f} Mpoints/s")
print(f"contour: {points / (end - made) / 1e6:.3f} Mpoints/s")
END
srun --mpi=pmix pvbatch contour.py
