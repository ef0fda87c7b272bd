"""Answers ``pip list`` from the metadata of the packages, in a tenth of pip's time; all else is left to pip.

The language host runs pip in each command of the engine, which took a fifth of the engine tests. On ``PYTHONPATH`` this
package comes before the real one.
"""
