"""Serves machine-learning models over HTTP.

This file imports nothing: the control machine imports `modelhost.bundle.bundle` without numpy or Flask.
"""

__version__ = "0.1.0"  # read by pyproject.toml too
