"""The bakery command."""

import gc

gc.set_threshold(50_000)  # the modules of a command allocate much and free nothing: the default costs 3 % of a plan
