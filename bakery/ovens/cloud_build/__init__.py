"""The Google Cloud oven: Cloud Build and Packer."""
