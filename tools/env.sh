# shellcheck shell=bash
# The environment of this checkout's stacks: `source tools/env.sh` (bash or zsh), or `make shell`.
#
# Everything is the checkout's own: engine and .venv come first on PATH; state, PULUMI_HOME and the passphrase lie
# below .bakery/. Nothing of your own Pulumi set-up is read or written.

_bakery_root=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)
case ":$PATH:" in
*":$_bakery_root/.venv/bin:$_bakery_root/.bakery/engine:"*) ;;
*) PATH=$_bakery_root/.venv/bin:$_bakery_root/.bakery/engine:$PATH ;;
esac
export PATH
export VIRTUAL_ENV=$_bakery_root/.venv
export PULUMI_HOME=$_bakery_root/.bakery/pulumi-home
# An address: what has a meaning in one is escaped.
_bakery_url=${_bakery_root//\%/%25}
_bakery_url=${_bakery_url//\?/%3F}
export PULUMI_BACKEND_URL=file://${_bakery_url//\#/%23}/.bakery/pulumi
export PULUMI_CONFIG_PASSPHRASE_FILE=$_bakery_root/.bakery/passphrase
unset PULUMI_CONFIG_PASSPHRASE # would win over the file
# Set in many containers. Without compiled modules each program that imports pulumi_gcp starts 6 s later.
unset PYTHONDONTWRITEBYTECODE
unset PULUMI_STACK
# A checkout of another branch takes the salt out of Pulumi.dev.yaml (see tools/stack.sh): the state has it too.
export PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER=true
export PULUMI_SKIP_UPDATE_CHECK=true
# The engine would fetch the plugin of every provider that .venv holds (pulumi-gcp: 200 MB) before each preview, used
# or not. Another stack that needs it: pulumi plugin install resource gcp
export PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=${PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION:-true}
# Bakes mostly wait, and the oven has slots of its own: the engine's limit of 4 operations a core only hides work.
export PULUMI_PARALLEL=${PULUMI_PARALLEL:-64}
# A bake that fails ends its own branch of the graph, not the others.
export PULUMI_CONTINUE_ON_ERROR=${PULUMI_CONTINUE_ON_ERROR:-true}
unset _bakery_root _bakery_url
