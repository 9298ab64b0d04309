"""The public keys that this host trusts: root's file, from the last deployment. Without it, none is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .atomic_files import write

if TYPE_CHECKING:
    from ..host.layout import Layout

MOST_BYTES = 256 * 1024


def read_text(layout: Layout) -> str | None:
    """The PEM blocks; None where no signature is asked for. Raises OSError where that cannot be known."""
    try:
        with layout.trusted_keys.open(encoding="ascii", errors="replace") as file:
            return file.read(MOST_BYTES)
    except FileNotFoundError:
        return None


def keep(layout: Layout, text: str) -> None:
    """Replace them; empty: ask for no signature from now on."""
    if text:
        write(layout.trusted_keys, text)
    else:
        layout.trusted_keys.unlink(missing_ok=True)
