#!/bin/bash -l
# Renders a sphere off screen and looks at the picture: it must not be of one colour.
set -euo pipefail

cat >render.py <<'END'
from paraview import servermanager
from paraview.simple import GetActiveViewOrCreate, Render, SaveScreenshot, Show, Sphere
from vtkmodules.vtkIOImage import vtkPNGReader

Show(Sphere(ThetaResolution=64, PhiResolution=64))
view = GetActiveViewOrCreate("RenderView")
Render(view)
SaveScreenshot("sphere.png", view, ImageResolution=[320, 240])
reader = vtkPNGReader()
reader.SetFileName("sphere.png")
reader.Update()
low, high = reader.GetOutput().GetScalarRange()
assert high - low > 20, f"the picture is empty: {low} to {high}"
print("ParaView", servermanager.vtkSMProxyManager.GetVersionMajor(), "rendered: ok")
END
srun --mpi=pmix --ntasks=1 pvbatch render.py | tee render.log
grep -q 'rendered: ok' render.log
