"""The commands of ``bakery``, a module for each kind: they read settings, call one function and print."""
