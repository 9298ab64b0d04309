"""The machine that the proxy is on, a stand-in for the app behind it, and the proxy's log."""

from proxy_fixtures import logged, machine, mark, stand_in

__all__ = ["logged", "machine", "mark", "stand_in"]
