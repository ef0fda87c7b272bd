"""The only reader of ``packages/`` and ``common/``."""
