"""Names of images that are on this host for as long as a pull or a push takes: written down before they are made.

Who is killed meanwhile leaves the name, and the engine keeps an image for its sake. It is forgotten by the next pull,
push or clean-up, and by `playbooks/destroy.yml`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..errors import StepError
from ..host.layout import Layout
from .atomic_files import write

if TYPE_CHECKING:
    from ..host.host import Host


def left(layout: Layout) -> list[str]:
    """The names that somebody has left who was killed."""
    try:
        return layout.foreign_names.read_text().split()
    except OSError:
        return []


def forget_left(host: Host, but: str = "") -> None:
    """Take them away, but for one that is wanted now."""
    names = left(host.layout)
    for name in names:
        if name != but:
            host.docker.forget_name(name)
    if names:
        _keep(host, names)


@contextmanager
def foreign_name(host: Host, name: str) -> Iterator[None]:
    """Have a name while this lasts. One that was there before is its owner's, and stays."""
    ours = name in left(host.layout)
    forget_left(host, but=name)
    if not ours and host.docker.has_image(name):
        yield
        return
    write(host.layout.foreign_names, f"{name}\n")
    try:
        yield
    finally:
        host.docker.forget_name(name)
        # Where the engine has not answered the next one tries again.
        with suppress(StepError):
            _keep(host, [name])


def _keep(host: Host, names: list[str]) -> None:
    """Leave only those written down that the engine still has."""
    if there := [name for name in names if host.docker.has_image(name)]:
        write(host.layout.foreign_names, "".join(f"{name}\n" for name in there))
    else:
        host.layout.foreign_names.unlink(missing_ok=True)
