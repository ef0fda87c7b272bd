"""The back end on Google Cloud: Cloud Build, Compute Engine and BigQuery."""
