"""The commands of ``bakery``: each module defines the command of the same name and is registered automatically.

A command reads the settings, calls one operation and prints the result. Everything slow is imported in the function.
"""
