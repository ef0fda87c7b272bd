"""Progress of running work: activities and status lines."""
