"""The fake back end, which follows a script and needs no machines."""
