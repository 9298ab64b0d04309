"""Releases on a host: what the modules release_* are made of.

Runs on the host, so: Python 3.10 and its standard library alone.
"""
