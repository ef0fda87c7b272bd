#!/bin/bash
# Amber's licensed sources, from AMBER_SOURCES (bucket, address or folder) or from the package's folder sources/ (uploaded
# to /tmp/sources), into a mirror that spack-install.sh reads. Nobody may hand them out, so each site brings its own.
set -euo pipefail

uploaded=${UPLOADS:-/tmp}/sources
mirror=${UPLOADS:-/tmp}/spack-mirror

declare -A sums=(
  [Amber20.tar.bz2]=a4c53639441c8cc85adee397933d07856cc4a723c82c6bea585cd76c197ead75
  [AmberTools21.tar.bz2]=f55fa930598d5a8e9749e8a22d1f25cab7fcf911d98570e35365dd7f262aaafd
)

# fetch NAME FILE
fetch() {
  case ${AMBER_SOURCES:-} in
  '') cp "$uploaded/$1" "$2" ;;
  gs://*) gcloud storage cp "${AMBER_SOURCES%/}/$1" "$2" || gsutil cp "${AMBER_SOURCES%/}/$1" "$2" ;;
  http://* | https://*) curl --fail --silent --show-error --location --retry 3 --output "$2" "${AMBER_SOURCES%/}/$1" ;;
  *) cp "${AMBER_SOURCES%/}/$1" "$2" ;;
  esac
}

said=$(mktemp)
trap 'rm -f "$said"' EXIT
for name in "${!sums[@]}"; do
  sum=${sums[$name]}
  file=$mirror/_source-cache/archive/${sum:0:2}/$sum.tar.bz2
  mkdir -p "$(dirname "$file")"
  if ! fetch "$name" "$file" 2>"$said"; then
    cat >&2 <<END
amber: $name is not there (looked in ${AMBER_SOURCES:-sources/ of the package}): $(tail -n 1 "$said")
Amber is licensed: get Amber20.tar.bz2 and AmberTools21.tar.bz2 from ambermd.org, and either put them into the package's
folder sources/, or into a bucket that the machine that bakes may read, and set _AMBER_SOURCES to it (gs://bucket/folder).
END
    exit 1
  fi
  if [[ $(sha256sum "$file" | cut -d ' ' -f 1) != "$sum" ]]; then
    echo "amber: $name is another release than Spack knows: its sha256 is not $sum" >&2
    exit 1
  fi
done
rm -rf "$uploaded"
