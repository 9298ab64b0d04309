"""The command where it is not installed: python -m modelhost.cli."""

from modelhost.cli import main

main(prog_name="modelhost")
