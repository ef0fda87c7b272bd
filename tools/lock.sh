#!/usr/bin/env bash
# Writes requirements.lock anew: every dependency of pyproject.toml (and of its extras) with version and hashes.
# What is locked already stays as it is unless pyproject.toml asks for more; --upgrade takes the newest of everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

resolver=.bakery/lock-venv
if [[ ! -x $resolver/bin/uv ]]; then
    .venv/bin/python -m venv "$resolver"
    "$resolver/bin/pip" install --quiet 'uv==0.13.9'
fi
# --universal: one lock for every platform and Python that pyproject.toml allows. setuptools is what builds the
# checkout's own package; locked too, so that the editable install needs no network.
printf 'setuptools>=77\n' >.bakery/build-requirements.in
"$resolver/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-find-links \
    --custom-compile-command 'make lock' --extra gcp --extra dev --output-file requirements.lock "$@" \
    pyproject.toml .bakery/build-requirements.in
printf 'requirements.lock: %s packages\n' "$(grep -c '==' requirements.lock)"
