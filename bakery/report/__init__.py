"""What people and programs read: JSON with a schema first, all else rendered from it."""
