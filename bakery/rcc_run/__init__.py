"""rcc-run's command line on the bakery's clusters: a ``cloudbuild.yaml`` step only changes the name of its image.

Options, defaults, exit codes and rows are rcc-run's (its ``bin/rcc-run.py``); docs/rcc-run.md says what is different.
"""
