#!/bin/bash
# Installs Spack and the environment of a package into the machine that bakes. Runs as root; run again, it goes on where
# it stopped. Works with Spack 0.18, 0.23 and 1.x. docs/packages.md says what each variable means.
#
#   INSTALL_ROOT SYSTEM_COMPILER COMPILER ARCH       where, with what and for which machine
#   SPACK_SOURCE SPACK_REF                           git URL, folder or archive; tag, commit or sha256:... of the archive
#   SPACK_PACKAGES_SOURCE SPACK_PACKAGES_REF         the same of the package recipes, Spack 1.x only
#   SPACK_CACHE SPACK_CACHE_KEY                      binary cache, read first and filled after; its secret key
#   SPACK_MIRROR                                     mirror of sources
#
# The environment is $INSTALL_ROOT/spack-pkg-env/spack.yaml, or /tmp/spack.yaml, which is moved there.
set -Eeuo pipefail

INSTALL_ROOT=${INSTALL_ROOT:-/opt}
ARCH=${ARCH:-x86_64}
COMPILER=${COMPILER:-}
SYSTEM_COMPILER=${SYSTEM_COMPILER:-}
SPACK_SOURCE=${SPACK_SOURCE:-https://github.com/spack/spack.git}
SPACK_REF=${SPACK_REF:-v1.1.0}
SPACK_PACKAGES_SOURCE=${SPACK_PACKAGES_SOURCE:-https://github.com/spack/spack-packages.git}
SPACK_PACKAGES_REF=${SPACK_PACKAGES_REF:-v2025.11.0}
SPACK_CACHE=${SPACK_CACHE:-${SPACK_BUCKET:-}}
SPACK_CACHE_KEY=${SPACK_CACHE_KEY:-}
SPACK_MIRROR=${SPACK_MIRROR:-}

# Tests put these elsewhere.
SYSTEM_ETC=${SYSTEM_ETC:-/etc}
UPLOADS=${UPLOADS:-/tmp}

root=$INSTALL_ROOT/spack
env_dir=$INSTALL_ROOT/spack-pkg-env
python_dir=$INSTALL_ROOT/spack-python
profile=$SYSTEM_ETC/profile.d/z10_spack_environment.sh
new_binaries=$INSTALL_ROOT/spack-cache-new # what goes into a cache on http, until it is there
log=$(mktemp)
keys=$(mktemp -d)

# Spack must not see what the user who bakes has in a home folder.
export SPACK_ROOT=$root SPACK_DISABLE_LOCAL_CONFIG=1 SPACK_USER_CACHE_PATH=$INSTALL_ROOT/spack-cache SPACK_COLOR=never
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

say() { echo "spack-install: $*"; }

die() {
  trap - ERR
  echo "spack-install: $*" >&2
  exit 1
}

# The end at the first error: the end of the log of the package that Spack was building, what Spack said last, the line and
# the command.
failed() {
  local rc=$1 line=$2 command=$3 build_log
  trap - ERR
  if [[ -d $new_binaries ]]; then push_by_put || true; fi
  {
    build_log=$(grep -oE '/[^ ]*spack-build-[^ ]*\.txt' "$log" | tail -n 1 || true)
    if [[ -n $build_log && -r $build_log ]]; then
      echo "spack-install: the last lines of $build_log:"
      tail -n 40 "$build_log"
    fi
    grep '^==> Error: ' "$log" | tail -n 1 | sed 's/^==> /spack-install: Spack said: /' || true
    echo "spack-install: line $line failed with exit code $rc: $command"
  } >&2
  exit "$rc"
}
trap 'failed $? "$LINENO" "$BASH_COMMAND"' ERR
trap 'rm -rf "$log" "$keys"' EXIT

# spack ARGUMENTS...: also into the log that failed() reads.
run_spack() {
  if ! "$root/bin/spack" "$@" 2>&1 | tee -a "$log"; then failed "${PIPESTATUS[0]}" "${BASH_LINENO[0]}" "spack $*"; fi
}

# at_least 1.0: is this Spack that new?
at_least() {
  [[ $(printf '%s\n%s\n' "$1" "$spack_version" | sort -V | head -n 1) == "$1" ]]
}

install_system_packages() {
  local id
  # shellcheck source=/dev/null
  id=$(. "$SYSTEM_ETC/os-release" && echo "${ID:-} ${ID_LIKE:-}")
  case $id in
  *debian* | *ubuntu*)
    apt-get -qq -o DPkg::Lock::Timeout=300 update
    apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install --yes --no-install-recommends \
      bzip2 ca-certificates curl file g++ gcc gfortran git gnupg make patch patchelf python3 python3-venv unzip xz-utils zstd
    ;;
  *rhel* | *fedora* | *centos* | *rocky*)
    dnf -q -y install bzip2 ca-certificates curl-minimal file gcc gcc-c++ gcc-gfortran git gnupg2 make patch python3 \
      python3-pip tar unzip xz zstd ||
      dnf -q -y install --allowerasing bzip2 curl file gcc gcc-c++ gcc-gfortran git gnupg2 make patch python3 tar unzip xz
    ;;
  *) say "unknown system '$id': its compilers and tools are taken as they are" ;;
  esac
}

# download URL FILE
download() {
  case $1 in
  gs://*) gcloud storage cp "$1" "$2" || gsutil cp "$1" "$2" ;;
  http://* | https://*) curl --fail --silent --show-error --location --retry 3 --output "$2" "$1" ;;
  *) cp "${1#file://}" "$2" ;;
  esac
}

unpack_archive() {
  local source=$1 ref=$2 into=$3 archive
  archive=$(mktemp)
  download "$source" "$archive"
  if [[ $ref == sha256:* ]]; then
    [[ $(sha256sum "$archive" | cut -d ' ' -f 1) == "${ref#sha256:}" ]] || die "$source does not have $ref"
  fi
  tar --extract --file "$archive" --directory "$into" --strip-components=1 --no-same-owner
  rm -f "$archive"
}

clone_git() {
  local source=$1 ref=$2 into=$3
  git -C "$into" init -q
  git -C "$into" config --local advice.detachedHead false
  # Servers hand out tags, branches and, mostly, whole commit names; for a shortened one all has to be fetched.
  if git -C "$into" fetch -q --depth 1 "$source" "$ref"; then
    git -C "$into" checkout -q FETCH_HEAD
  else
    git -C "$into" fetch -q "$source" '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*'
    git -C "$into" checkout -q "$ref"
  fi
}

# obtain SOURCE REF FOLDER: once for each source and ref; a half-made folder is made anew.
obtain() {
  local source=$1 ref=$2 into=$3 stamp=$3/.obtained
  if [[ -f $stamp && $(<"$stamp") == "$source $ref" ]]; then
    say "$into is there"
    return
  fi
  say "fetching $source at $ref"
  rm -rf "$into"
  mkdir -p "$into"
  local folder=${source#file://}
  if [[ $source =~ \.(tar|tgz|tar\.gz|tar\.bz2|tar\.xz|tar\.zst)$ ]]; then
    unpack_archive "$source" "$ref" "$into"
  elif [[ -d $folder && ! -e $folder/HEAD && ! -e $folder/.git ]]; then
    cp -a "$folder/." "$into"
  else
    clone_git "$source" "$ref" "$into"
  fi
  echo "$source $ref" >"$stamp"
}

# clingo from PyPI, where it can be had, spares Spack from bootstrapping itself.
make_python() {
  export SPACK_PYTHON=$python_dir/bin/python3
  if "$SPACK_PYTHON" -c 'import clingo' 2>/dev/null; then return; fi
  local wanted=(clingo==5.8.0)
  if [[ $SPACK_CACHE$SPACK_MIRROR == *gs://* ]]; then wanted+=(google-cloud-storage); fi
  if python3 -m venv "$python_dir" && "$python_dir/bin/pip" install --quiet --no-cache-dir "${wanted[@]}"; then return; fi
  say "no clingo from PyPI: Spack bootstraps its own"
  rm -rf "$python_dir"
  unset SPACK_PYTHON
}

# with_placeholders FILE: fills @INSTALL_ROOT@ and its like in place.
with_placeholders() {
  sed -i -e "s#@INSTALL_ROOT@#$INSTALL_ROOT#g" -e "s#@SYSTEM_COMPILER@#$SYSTEM_COMPILER#g" \
    -e "s#@COMPILER@#$(compiler_spec)#g" -e "s#@ARCH@#$ARCH#g" "$1"
  if grep -nE '@[A-Z][A-Z_]*@' "$1" >&2; then
    die "$1 has a placeholder that nobody fills; known: @INSTALL_ROOT@ @COMPILER@ @SYSTEM_COMPILER@ @ARCH@"
  fi
}

# The compiler as specs name it: before 1.0 Intel's compilers were installed under another name than they were used.
compiler_spec() {
  case $COMPILER in
  '') echo "$SYSTEM_COMPILER" ;;
  intel*)
    if at_least 1.0; then
      echo "$COMPILER"
    elif at_least 0.21; then
      echo "${COMPILER/#intel-oneapi-compilers/oneapi}"
    else
      echo intel
    fi
    ;;
  *) echo "$COMPILER" ;;
  esac
}

configure_spack() {
  local etc=$root/etc/spack
  if at_least 1.0; then
    obtain "$SPACK_PACKAGES_SOURCE" "$SPACK_PACKAGES_REF" "$INSTALL_ROOT/spack-packages"
    printf 'repos:\n  builtin: %s\n' "$INSTALL_ROOT/spack-packages/repos/spack_repo/builtin" >"$etc/repos.yaml"
  fi
  write_mirrors >"$etc/mirrors.yaml"
  take_configuration packages.yaml
  run_spack compiler find --scope site
}

# take_configuration FILE: an uploaded configuration goes into Spack's site scope.
take_configuration() {
  if [[ ! -f $UPLOADS/$1 ]]; then return; fi
  cp "$UPLOADS/$1" "$root/etc/spack/$1"
  with_placeholders "$root/etc/spack/$1"
}

# mirrors.yaml: a plain list of addresses up to 0.20, what each is for since then.
write_mirrors() {
  # Sources that a package brought itself, because they are licensed.
  local signed=false brought=$UPLOADS/spack-mirror
  if [[ -n $SPACK_CACHE_KEY ]]; then signed=true; fi
  if [[ -z $SPACK_CACHE$SPACK_MIRROR && ! -d $brought ]]; then
    echo 'mirrors: {}'
    return
  fi
  echo 'mirrors:'
  if ! at_least 0.21; then
    if [[ -n $SPACK_CACHE ]]; then echo "  rcc-cache: $SPACK_CACHE"; fi
    if [[ -n $SPACK_MIRROR ]]; then echo "  rcc-sources: $SPACK_MIRROR"; fi
    if [[ -d $brought ]]; then echo "  rcc-brought: file://$brought"; fi
    return
  fi
  # Each package is kept as soon as it is built: a bake that fails later has not built in vain.
  local autopush=''
  if at_least 0.22; then
    case $(cache_kind) in
    direct) autopush=', autopush: true' ;;
    put) echo "  rcc-new: {url: 'file://$new_binaries', binary: true, source: false, signed: $signed, autopush: true}" ;;
    esac
  fi
  if [[ -n $SPACK_CACHE ]]; then
    echo "  rcc-cache: {url: '$SPACK_CACHE', binary: true, source: false, signed: $signed$autopush}"
  fi
  if [[ -n $SPACK_MIRROR ]]; then echo "  rcc-sources: {url: '$SPACK_MIRROR', binary: false, source: true}"; fi
  if [[ -d $brought ]]; then echo "  rcc-brought: {url: 'file://$brought', binary: false, source: true}"; fi
}

# How the cache is written to: direct (Spack does), put (a server that takes files by PUT), or none.
cache_kind() {
  case $SPACK_CACHE in
  '') echo none ;;
  http://* | https://*)
    if curl --fail --silent --max-time 30 --output /dev/null --request PUT --data '' "$SPACK_CACHE/.writable"; then
      echo put
    else
      echo none
    fi
    ;;
  *) echo direct ;;
  esac
}

# The secret key stays outside of the image, which gets the public half.
trust_keys() {
  if [[ -z $SPACK_CACHE_KEY ]]; then return; fi
  export SPACK_GNUPGHOME=$keys
  run_spack gpg init
  download "$SPACK_CACHE_KEY" "$keys/secret"
  run_spack gpg trust "$keys/secret"
  run_spack gpg export "$keys/public"
  SPACK_GNUPGHOME=$root/opt/spack/gpg run_spack gpg trust "$keys/public"
}

known_compilers() {
  "$root/bin/spack" compilers | grep -oE '[a-z][a-z0-9-]*@=?[0-9][^ ]*' | sed 's/@=/@/' | sort -uV
}

# found COMPILER: a compiler of that name and version; gcc and gcc@12 are found as gcc@12.2.0.
found() {
  known_compilers | grep -qE "^${1//./\\.}([.@]|\$)"
}

find_compilers() {
  if [[ -z $SYSTEM_COMPILER ]]; then
    SYSTEM_COMPILER=$(known_compilers | grep '^gcc@' | tail -n 1 || true)
    [[ -n $SYSTEM_COMPILER ]] || die "no gcc on this system; install one, or set SYSTEM_COMPILER"
  fi
  found "$SYSTEM_COMPILER" ||
    die "SYSTEM_COMPILER=$SYSTEM_COMPILER is not on this system; found: $(known_compilers | xargs)"
  if [[ -z $COMPILER || $COMPILER == "$SYSTEM_COMPILER" ]] || found "$(compiler_spec)"; then return; fi
  say "installing the compiler $COMPILER"
  run_spack install --fail-fast "${signature_options[@]}" "$COMPILER %$SYSTEM_COMPILER target=x86_64"
  run_spack compiler find --scope site "$("$root/bin/spack" location -i "$COMPILER")" \
    "$(dirname "$(find "$("$root/bin/spack" location -i "$COMPILER")" -type f \( -name icx -o -name gcc \) -print -quit)")"
  found "$(compiler_spec)" || die "$COMPILER was installed, and Spack does not find it: $(known_compilers | xargs)"
}

install_environment() {
  if [[ -f $UPLOADS/spack.yaml ]]; then
    mkdir -p "$env_dir"
    if ! cmp -s "$UPLOADS/spack.yaml" "$env_dir/spack.yaml.in"; then rm -f "$env_dir/spack.lock"; fi
    cp "$UPLOADS/spack.yaml" "$env_dir/spack.yaml.in"
    mv "$UPLOADS/spack.yaml" "$env_dir/spack.yaml"
  fi
  if [[ ! -f $env_dir/spack.yaml ]]; then
    say "no environment: Spack itself is all there is to do"
    return
  fi
  with_placeholders "$env_dir/spack.yaml"
  if [[ ! -f $env_dir/spack.lock ]]; then run_spack --env "$env_dir" concretize; fi
  # What came out of the cache need not go into it; what was built must, also when the run that built it ended early.
  local owed=$env_dir/.unpushed built=false
  if [[ -f $owed ]]; then built=true; fi
  touch "$owed"
  run_spack --env "$env_dir" install --fail-fast "${signature_options[@]}"
  if $built || grep -q ': Executing phase: ' "$log"; then fill_cache; fi
  rm -f "$owed"
  run_spack --env "$env_dir" gc --yes-to-all
  touch "$env_dir/.collected"
  if [[ -f $root/etc/spack/modules.yaml ]]; then
    run_spack --env "$env_dir" module lmod refresh --delete-tree --yes-to-all
  fi
}

# What was built goes into the cache, so that the next bake takes it from there.
fill_cache() {
  case $(cache_kind) in
  direct) push_directly ;;
  put) push_by_put ;;
  none) if [[ -n $SPACK_CACHE ]]; then say "$SPACK_CACHE is read-only: nothing is pushed"; fi ;;
  esac
}

push_directly() {
  local sign=(--unsigned)
  if [[ -n $SPACK_CACHE_KEY ]]; then sign=(); fi
  # Once gc ran, what was only needed to build is no longer there to be pushed.
  local only=()
  if [[ -f $env_dir/.collected ]] && at_least 0.22; then only=(--without-build-dependencies); fi
  if at_least 0.21; then
    run_spack --env "$env_dir" buildcache push ${sign[@]+"${sign[@]}"} ${only[@]+"${only[@]}"} rcc-cache
    run_spack buildcache update-index rcc-cache # a push of what is there already does not
  else
    # 0.18 says "already exists" with an exit code of its own for what is there; -f writes it again.
    run_spack --env "$env_dir" buildcache create --allow-root --force --rebuild-index ${sign[@]+"${sign[@]}"} \
      --mirror-name rcc-cache
  fi
}

# The new packages to a server that takes files. It gets no index: Spack looks for a package by its hash all the same.
push_by_put() {
  local file
  if [[ ! -d $new_binaries ]]; then
    say "nothing is pushed: only Spack 0.22 and newer keep packages for a cache on http"
    return
  fi
  while IFS= read -r -d '' file; do
    curl --fail --silent --show-error --retry 3 --output /dev/null --upload-file "$new_binaries/$file" "$SPACK_CACHE/$file"
  done < <(find "$new_binaries" -type f -printf '%P\0')
  rm -rf "$new_binaries"
}

# Mirrors that were there for this bake alone have no place in the image.
forget_mirrors() {
  if [[ $SPACK_CACHE == http://10.0.2.2:* ]]; then SPACK_CACHE=''; fi # the local oven's way to its own computer
  if [[ $SPACK_MIRROR == http://10.0.2.2:* ]]; then SPACK_MIRROR=''; fi
  rm -rf "$UPLOADS/spack-mirror"
  write_mirrors | sed -e '/rcc-new:/d' -e 's/, autopush: true//' >"$root/etc/spack/mirrors.yaml"
}

# A login finds the software without starting Spack (that would take seconds): the variables stand in the file, and
# `spack` is a function that loads the rest when it is first called.
write_profile() {
  local base=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  mkdir -p "$(dirname "$profile")"
  {
    echo "# Written by spack-install.sh: the software of this image."
    echo "export SPACK_ROOT=$root"
    echo "export SPACK_DISABLE_LOCAL_CONFIG=1"
    if [[ -n ${SPACK_PYTHON:-} ]]; then echo "export SPACK_PYTHON=$SPACK_PYTHON"; fi
    echo "spack() { unset -f spack; . \"\$SPACK_ROOT/share/spack/setup-env.sh\"; spack \"\$@\"; }"
    if [[ -f $env_dir/spack.yaml ]]; then
      env -i HOME=/root PATH=$base SPACK_DISABLE_LOCAL_CONFIG=1 SPACK_USER_CACHE_PATH="$SPACK_USER_CACHE_PATH" \
        SPACK_PYTHON="${SPACK_PYTHON:-}" "$root/bin/spack" env activate --sh --dir "$env_dir" |
        tr ';' '\n' | sed -n -E "/^export (SPACK_ENV|SPACK_ENV_VIEW|[A-Za-z0-9_]+)=/{s#:?$base#:\\\$PATH#;s#(=['\"]?):#\\1#;p}"
    fi
    if [[ -d $root/share/spack/lmod/Core ]]; then
      echo "export MODULEPATH=$root/share/spack/lmod/Core\${MODULEPATH:+:\$MODULEPATH}"
    fi
  } >"$profile.new"
  bash -n "$profile.new"
  mv "$profile.new" "$profile"
}

say "system packages"
install_system_packages
obtain "$SPACK_SOURCE" "$SPACK_REF" "$root"
make_python
spack_version=$("$root/bin/spack" --version | grep -oE '^[0-9]+\.[0-9]+(\.[0-9]+)?')
say "Spack $spack_version"
signature_options=()
if [[ -z $SPACK_CACHE_KEY ]]; then signature_options=(--no-check-signature); fi
configure_spack
trust_keys
find_compilers
take_configuration modules.yaml
if [[ -f $root/etc/spack/modules.yaml ]] && ! at_least 0.21; then
  sed -i 's/hide_implicits:/blacklist_implicits:/' "$root/etc/spack/modules.yaml" # its name until then
fi
install_environment
write_profile
run_spack clean --stage --downloads --failures # the index of packages stays: making it takes a minute
forget_mirrors
say "done"
