"""The release tool of a host: the steps of a deployment, and commands for people on that machine.

Runs there alone, so: Python 3.10 or newer, and its standard library.
"""

__version__ = "0.1.0"  # repeats that of the app (tests/app/test_version.py), which is not on the host
