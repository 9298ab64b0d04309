"""Serves machine-learning models over HTTP.

This file imports nothing: the control machine imports `modelhost.bundle.bundle` without numpy or Flask.
"""

# The product's version: app/pyproject.toml reads it, and tests/app/test_version.py lists the places that repeat it.
__version__ = "0.1.0"


class InvalidInput(ValueError):  # noqa: N818 - the name is for those who write models
    """What the verbs of a Python model may raise: the client gets a 400 with its words, and not a 500."""
