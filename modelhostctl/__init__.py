"""The release tool of a host: the steps of a deployment, and commands for people on that machine.

Runs there alone, so: Python 3.10 or newer, and its standard library.
"""

__version__ = "0.1.0"  # that of the app, which a test compares
