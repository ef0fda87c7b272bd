#!/usr/bin/env bash
# Installs missing packages of Debian and its relatives, the only step that needs root. Takes milliseconds if nothing is
# missing. Arguments are more tables of programs, from the checkout's folder.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PATH=$PATH:/usr/sbin:/sbin # mke2fs is not on an ordinary user's PATH
packages=()
reasons=()

want() { # program-or-file package reason
    [[ -e $1 ]] || command -v "$1" >/dev/null || {
        packages+=("$2")
        reasons+=("$2 ($3)")
    }
}

for table in bakery/backends/local/system_tools.tsv "$@"; do
    while IFS=$'\t' read -r program package reason; do
        [[ $program == \#* ]] || want "$program" "$package" "$reason"
    done <"$root/$table"
done

# Debian ships python3 without the wheels that a virtual environment starts from.
python=$("$root/tools/python.sh")
if [[ ! -x $root/.venv/bin/pip ]] && ! "$python" -I -c 'import ensurepip' 2>/dev/null; then
    packages+=("$(basename "$("$python" -I -c 'import sys; print("python%d.%d" % sys.version_info[:2])')")-venv")
    reasons+=("${packages[-1]} (makes the virtual environment)")
fi

((${#packages[@]})) || exit 0

there=()
advice=()
while IFS=$'\t' read -r kind what; do
    if [[ $kind == package ]]; then there+=("$what"); else advice+=("$what"); fi
done < <("$python" -I "$root/tools/packages.py" "${packages[@]}")
if ((${#there[@]} == 0)); then
    printf '%s\n' "${reasons[@]}"
    fail 'these are missing, and this set-up can not install them:' "${advice[@]}"
fi

install=(apt-get install --yes --no-install-recommends "${there[@]}")
as_root=()
if ((EUID != 0)); then
    sudo -n true 2>/dev/null || fail "missing: ${there[*]}. Root is needed only for this command; run it, then try again:" \
        "sudo sh -c 'apt-get update && ${install[*]}'"
    as_root=(sudo -n)
    [[ -z ${http_proxy:-}${https_proxy:-} ]] || as_root+=('--preserve-env=http_proxy,https_proxy,no_proxy')
fi
say "installing packages:"
printf '    %s\n' "${reasons[@]}"
log=$state/setup-apt.log
mkdir -p "$state"
{ "${as_root[@]}" apt-get update && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}"; } >"$log" 2>&1 </dev/null ||
    { tail -n 40 "$log" >&2 && fail "apt-get failed; the complete log is in $log. Replay:" "apt-get update && ${install[*]}"; }
((${#advice[@]} == 0)) || fail 'what is still missing is not among the packages here:' "${advice[@]}"
