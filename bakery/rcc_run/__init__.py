"""rcc-run's command line on the bakery's clusters: in a ``cloudbuild.yaml`` step only the image's name changes.

Options, defaults, exit codes and rows are those of rcc-run (its ``bin/rcc-run.py``). docs/rcc-run.md lists the
differences.
"""
