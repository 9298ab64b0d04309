"""Where the benchmark keeps what it makes."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
CACHE = PROJECT / ".cache" / "bench"  # the environments, one for each peer
MODELS = CACHE / "models"
JOBLIB = MODELS / "joblib"
PEERS = PROJECT / "bench" / "peers"
NOTES = PROJECT / "bench" / "notes.md"
DOCS = PROJECT / "docs"


def program(environment: str, name: str) -> str:
    """The path of a program of one of the environments."""
    return str(CACHE / environment / "bin" / name)
