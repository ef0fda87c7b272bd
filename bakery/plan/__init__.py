"""Pure: from settings and recipes to images with digests, names, order and reasons. No I/O."""
