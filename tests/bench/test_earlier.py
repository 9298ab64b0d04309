"""The version before comes out of the repository's history, once, and where there is none that is said."""

import earlier
import pytest


@pytest.mark.skipif(bool(earlier.absent()), reason=earlier.absent())
def test_the_version_before_had_the_other_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(earlier, "FOLDER", tmp_path / "before")
    earlier.take_out()
    locked = tmp_path / "before/app/locks/server.lock"
    assert "gevent==" in locked.read_text()
    locked.unlink()
    earlier.take_out()
    assert not locked.exists()


def test_a_copy_without_the_commit_says_so(monkeypatch):
    monkeypatch.setattr(earlier, "COMMIT", "0" * 40)
    assert earlier.absent() == "there is no commit 0000000 in this copy of the project"
