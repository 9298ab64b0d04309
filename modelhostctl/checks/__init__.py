"""What an answer, a log or a latency is held to."""
