"""Models that are loaded: what runs them, and which one answers a URL."""
