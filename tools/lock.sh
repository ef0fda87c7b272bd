#!/usr/bin/env bash
# Writes requirements.lock: every dependency of pyproject.toml (and of its extras) with version and hashes. And
# tools/builder.lock: those of them that are in the builder image.
# Locked versions are kept unless pyproject.toml requires newer ones; --upgrade locks the newest version of everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

resolver=.bakery/lock-venv
if [[ ! -x $resolver/bin/uv ]]; then
    .venv/bin/python -m venv "$resolver"
    "$resolver/bin/pip" install --quiet 'uv==0.13.9'
fi
# --universal: one lock for every platform and Python that pyproject.toml allows. hatchling is what builds the
# checkout's own package; locked too, so that the editable install needs no network.
printf 'hatchling>=1.27\n' >.bakery/build-requirements.in
compile() { # compile FILE OPTION...
    "$resolver/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-find-links \
        --custom-compile-command 'make lock' --extra gcp --output-file "$1" "${@:2}" \
        pyproject.toml .bakery/build-requirements.in
    printf '%s: %s packages\n' "$1" "$(grep -c '==' "$1")"
}
compile requirements.lock --extra dev "$@"
# The builder has no engine: it never declares anything with pulumi-gcp, which is 280 MB.
compile tools/builder.lock --constraint requirements.lock --no-emit-package pulumi-gcp
