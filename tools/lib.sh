# shellcheck shell=bash
# What the set-up scripts share: where the checkout is, and how they talk. Source it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034  # for the scripts that source this one
state=$root/.bakery

# A step that does something says what and why; one that has nothing to do is silent.
say() {
    printf '\033[1mset-up:\033[0m %s\n' "$*"
}

fail() {
    printf 'set-up stopped: %s\n' "$1" >&2
    shift
    (($# == 0)) || printf '    %s\n' "$@" >&2
    exit 1
}

# Of all signs that a path may have, make and Python's packaging stumble over this one.
case $root in *\$*) fail "there is a \$ in the path of this checkout ($root)" 'move it to a folder without one' ;; esac
