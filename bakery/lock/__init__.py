"""External base images, pinned."""
