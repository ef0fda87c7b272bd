#!/usr/bin/env bash
# Builds the container image of tools/Containerfile from the files that git tracks, with podman, docker or buildah, or what
# CONTAINER_ENGINE names. Arguments are options of its `build`.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

for engine in ${CONTAINER_ENGINE:-podman docker buildah}; do
    command -v "$engine" >/dev/null && break
done
command -v "$engine" >/dev/null || fail 'there is no program that builds containers' 'install podman, which all distributions have'
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' bakery/version.py)
context=$(mktemp --directory)
trap 'rm -rf "$context"' EXIT
git ls-files -z | tar --create --null --files-from=- | tar --extract --directory "$context"
"$engine" build --file "$context/tools/Containerfile" --tag "image-bakery:$version" --build-arg "VERSION=$version" \
    --build-arg "REVISION=$(git rev-parse HEAD)" "$@" "$context"
say "image-bakery:$version is built; docs/own-repository.md says how to run it"
