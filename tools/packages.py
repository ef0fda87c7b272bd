"""Translates packages for ``tools/system.sh``: what apt-get installs on this computer, and what else is to be done.

Arguments are packages as Debian 12 calls them. Each line of output is ``package`` or ``advice``, a tab, and the name or
the sentence.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bakery.host import distribution

here, wanted = distribution.distribution(), sys.argv[1:]
if here.command == distribution.APT:
    lines = [f"package\t{name}" for name in here.packages(wanted)]
    lines += [f"advice\t{what}" for what in here.advice(wanted)]
else:
    lines = [f"advice\t{here.install(*wanted)}"]
print("\n".join(lines))
