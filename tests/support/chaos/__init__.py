"""A campaign that strikes running ``make up`` and ``make destroy`` at random points."""
