"""The agent of a Fluid-Run: joins machines to a Slurm cluster, runs the jobs and sends the results.

This folder is sent to every machine of a test cluster as it is and started there with ``python3 -E -s -m agent`` from
the folder that holds it. Started with ``-m`` it is a package, so that its modules import each other relatively here and
there alike, and none of them can take the place of a module of the standard library. It needs nothing except the
standard library of Python 3.9.

Every machine starts the agent with the same run specification (a JSON file, see docs/fluid-run.md) and its own name.
The controller configures and starts Slurm, submits the jobs, waits for them and collects the results. Login and compute
machines join the cluster and keep their logs up to date.
"""
