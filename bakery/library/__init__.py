"""The image library: which images there are, their state, the families, the runs that proved them."""
