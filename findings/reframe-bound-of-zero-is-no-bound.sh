#!/usr/bin/env bash
# ReFrame 4.7.4: a performance bound that works out at exactly zero is no bound at all. With a reference of 0 every
# value passes, however tight the thresholds; with a reference of 100 and a lower threshold of -1 (a least value of 0)
# a negative value passes. In 4.8.4 the thresholds of a zero reference are absolute values and a bound of zero holds, so
# the same test with the same figures changes its verdict between two minor versions.
# It follows that a suite that is judged "as in ReFrame" has to say as in which version.
# Exits 1 if either version behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/verdicts.py" <<'PYTHON'
import reframe
from reframe.core.exceptions import SanityError
from reframe.utility.sanity import assert_reference, evaluate

for value, reference, lower, upper in ((0.0005, 0, -0.001, 0.001), (5, 0, -0.001, 0.001), (-5, 100, -1, None)):
    try:
        evaluate(assert_reference(value, reference, lower, upper))
        verdict = "passes"
    except SanityError:
        verdict = "fails"
    print(f"{reframe.VERSION}: {value} {verdict}, reference {reference}, thresholds {lower} and {upper}")
PYTHON

for version in 4.7.4 4.8.4; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" install --quiet --disable-pip-version-check "ReFrame-HPC==$version"
    "$work/$version/bin/python" "$work/verdicts.py"
done | tee "$work/seen"

diff - "$work/seen" <<'EXPECTED'
4.7.4: 0.0005 passes, reference 0, thresholds -0.001 and 0.001
4.7.4: 5 passes, reference 0, thresholds -0.001 and 0.001
4.7.4: -5 passes, reference 100, thresholds -1 and None
4.8.4: 0.0005 passes, reference 0, thresholds -0.001 and 0.001
4.8.4: 5 fails, reference 0, thresholds -0.001 and 0.001
4.8.4: -5 fails, reference 100, thresholds -1 and None
EXPECTED
echo "seen again: a bound of zero is no bound in ReFrame 4.7.4"
