"""One prediction from body to answer: who computes it, when, and what it cost."""
