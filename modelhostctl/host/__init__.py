"""The machine: folders, the Docker engine, memory and disk, HTTP."""
