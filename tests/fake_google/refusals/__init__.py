"""What Google refuses."""
