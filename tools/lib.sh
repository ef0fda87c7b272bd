# shellcheck shell=bash
# Shared by the set-up scripts, to be sourced: the folder of the checkout, and their messages.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034  # for the scripts that source this one
state=$root/.bakery

# A step that does something prints what and why; a step with nothing to do is silent.
say() {
    printf '\033[1mset-up:\033[0m %s\n' "$*"
}

fail() {
    printf 'set-up stopped: %s\n' "$1" >&2
    shift
    (($# == 0)) || printf '    %s\n' "$@" >&2
    exit 1
}

# The only character of a path that make and Python's packaging do not support.
case $root in *\$*) fail "there is a \$ in the path of this checkout ($root)" 'move it to a folder without one' ;; esac
