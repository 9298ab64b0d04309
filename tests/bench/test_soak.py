"""While it is asked by the clock, a server is weighed once and its log does not fill the disk."""

import subprocess

from servers import Server
from soak import MOST_LOG_BYTES, watch
from starts import Place


def test_the_log_is_emptied_and_memory_weighed_while_the_load_runs(tmp_path, monkeypatch):
    log = tmp_path / "var/log/nginx/access.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"x" * (MOST_LOG_BYTES + 1))
    load = subprocess.Popen(["sleep", "1.5"], text=True)
    weighed = []
    monkeypatch.setattr(Server, "memory_mb", lambda _: weighed.append(load.poll()) or 100.0)
    assert watch(Server(Place(tmp_path, 18080, 18081, "iris"), [], 0.0), load, seconds=2) == 100.0
    assert load.returncode == 0
    assert log.read_bytes() == b""
    assert weighed == [None]  # once, while it ran
