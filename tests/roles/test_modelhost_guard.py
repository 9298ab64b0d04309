"""What the firewall's guard does when nft fails, or when another than what is kept was loaded last."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from rendering import PROJECT

# No kernel fails on demand, and no test may empty this machine's ruleset.
NFT = """\
#!/bin/sh
case "$*" in
  *monitor*) exec sleep 60 ;;
  *list*) cat {folder}/table ;;
  *--file*)
    for one in {folder}/fail*; do if [ -e "$one" ]; then rm "$one"; exit 1; fi; done
    echo rules >{folder}/table ;;
esac
"""


@pytest.fixture
def guard(tmp_path: Path):
    """Begin the guard of a machine whose files are in a folder, with a firewall that is kept."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "firewall.nft").write_text("table")
    (tmp_path / "nft").write_text(NFT.format(folder=tmp_path))
    (tmp_path / "nft").chmod(0o755)
    text = (PROJECT / "roles/host_hardening/files/modelhost-guard").read_text()
    script = text.replace("/etc/modelhost", str(tmp_path)).replace("/run/modelhost", str(tmp_path / "run"))
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def begin(verb: str) -> subprocess.Popen[str]:
        return subprocess.Popen(["sh", "-c", script, "guard", verb, "firewall"], env=path, text=True, process_group=0)

    return begin


def test_the_watch_goes_on_until_the_firewall_is_there(guard, tmp_path):
    # With the count of connections, and without it.
    (tmp_path / "fail1").touch()
    (tmp_path / "fail2").touch()
    watching = guard("watch")
    try:
        deadline = time.monotonic() + 10
        while not (tmp_path / "table").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert (tmp_path / "table").exists()
        assert watching.poll() is None
    finally:
        os.killpg(watching.pid, 9)
        watching.wait()


def test_what_was_loaded_from_another_file_is_not_in_effect(guard, tmp_path):
    (tmp_path / "firewall.nft").write_text("table")
    assert guard("load").wait() == 0
    assert guard("check").wait() == 0
    for file in (tmp_path / "firewall.nft", tmp_path / "kept" / "firewall.nft"):
        file.write_text("another table")
    assert guard("check").wait() != 0
