"""What the programs of others print, read into plain values. Each refuses what it does not know."""
