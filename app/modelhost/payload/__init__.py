"""From the bytes of a body to checked arrays, and from arrays to what JSON carries."""
