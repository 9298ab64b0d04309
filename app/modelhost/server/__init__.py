"""A server process: Gunicorn's settings, its workers, how many there are, and whether they are healthy."""
