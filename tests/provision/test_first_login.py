"""The first login to a machine, by the real ssh, to a server that took what cloud-init takes; killed at any step."""

import base64
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.modelhost.modelhost.plugins.action import first_login
from ansible_collections.modelhost.modelhost.plugins.action.first_login import Door, LoginError
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.host_keys import (
    fingerprint,
    know,
    known_keys,
    make_host_key,
    user_data,
)
from rented_machines import Machines

ADDRESS = "127.0.0.1"


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    monkeypatch.setenv("HOME", str(tmp_path))
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port = probe.getsockname()[1]
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    with Machines(tmp_path / "machines", port) as running:
        yield running


def boot(machines: Machines, folder: Path, host_key: bool = True) -> Door:
    """Boot a machine as one that was made with a host key, or without; return the way in."""
    body: dict[str, Any] = {"authorized_keys": [(folder / "key.pub").read_text()]}
    if host_key:
        private, public = make_host_key()
        (folder / ".ssh").mkdir()
        (folder / ".ssh" / "models.first-key.pub").write_text(f"{public}\n")
        body["metadata"] = {"user_data": base64.b64encode(user_data(private, public).encode()).decode()}
    machines.boot({"ipv4": [ADDRESS], "made_of": body})
    return door(machines, folder)


def door(machines: Machines, folder: Path) -> Door:
    wanted = {
        "folder": str(folder / ".ssh"), "users": ["root", "deploy"], "private_key_file": str(folder / "key"),
        "timeout_seconds": 10, "host_keys_on_machine": ".", "port": machines.port,
    }  # fmt: skip
    return Door("models", ADDRESS, wanted)


def known(way_in: Door) -> list[str]:
    return known_keys(way_in.known_hosts, way_in.host)


def said(call: Callable[[], Any]) -> str:
    with pytest.raises(LoginError) as caught:
        call()
    return str(caught.value)


def test_a_machine_shows_the_key_it_was_given_and_then_has_one_of_its_own(machines, tmp_path):
    way_in = boot(machines, tmp_path)
    given = machines.host_key(ADDRESS).split()[:2]
    (line,) = way_in.first_login()
    own = " ".join(machines.host_key(ADDRESS).split()[:2])
    assert known(way_in) == [own]
    assert own.split() != given
    assert line == (
        f"models ({ADDRESS}) showed the host key that was made for it, and has one of its own since: {fingerprint(own)}"
    )
    assert sorted(path.name for path in (tmp_path / ".ssh").iterdir()) == ["known_hosts"]
    assert "try-reload-or-restart ssh" in (tmp_path / "machines" / ADDRESS / "systemctl.log").read_text()


def test_a_machine_that_is_known_is_only_logged_in_to(machines, tmp_path):
    way_in = boot(machines, tmp_path)
    way_in.first_login()
    own = machines.host_key(ADDRESS)
    # As after a deployment, which closes root's account.
    machines.lets_root_in = False
    machines.logins.clear()
    machines.tried.clear()
    assert door(machines, tmp_path).first_login() == []
    assert machines.host_key(ADDRESS) == own
    # It counts the tries of other accounts, and bans whoever has too many.
    assert machines.tried == ["deploy"]
    assert set(machines.logins) == {f"deploy@{ADDRESS}"}


@pytest.mark.parametrize("step", range(1, 9))
def test_a_run_that_is_killed_at_any_step_is_finished_by_the_next(machines, tmp_path, monkeypatch, step):
    """A step is a command on the machine or a change of known_hosts; each time it is done, and the run dies."""
    way_in, done = boot(machines, tmp_path), []

    class KilledError(Exception):
        pass

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def do(*arguments: Any, **options: Any) -> Any:
            result = call(*arguments, **options)
            done.append(call.__name__)
            if len(done) == step:
                raise KilledError
            return result

        return do

    with monkeypatch.context() as patched:
        patched.setattr(first_login, "know", dying(know))
        patched.setattr(Door, "ssh", dying(Door.ssh))
        try:
            way_in.first_login()
            assert step > len(done)
        except KilledError:
            assert len(done) == step
    door(machines, tmp_path).first_login()
    assert known(way_in) == [" ".join(machines.host_key(ADDRESS).split()[:2])]
    assert not way_in.first_key_file.exists()


def test_a_machine_that_did_not_take_its_key_is_not_logged_in_to(machines, tmp_path):
    machines.takes_host_key = False
    way_in = boot(machines, tmp_path)
    (given,) = [way_in.first_key_file.read_text().strip()]
    text = said(way_in.first_login)
    assert f"shows another host key than the one that is known ({fingerprint(given)})" in text
    assert "Either its first boot did not take the key, or someone stands in between." in text
    assert "make unprovision to remove it" in text
    assert machines.logins == []


def test_a_machine_that_has_another_key_than_before_is_not_logged_in_to(machines, tmp_path):
    way_in = boot(machines, tmp_path)
    way_in.first_login()
    know(way_in.known_hosts, way_in.host, [make_host_key()[1]])
    machines.logins.clear()
    assert "Either it was rebuilt, or someone stands in between." in said(door(machines, tmp_path).first_login)
    assert machines.logins == []


def test_a_machine_that_was_given_no_key_is_trusted_at_first_sight_and_that_is_said(machines, tmp_path):
    way_in = boot(machines, tmp_path, host_key=False)
    (line,) = way_in.first_login()
    shown = machines.host_key(ADDRESS)
    assert f"was trusted at first sight: its host key is {fingerprint(shown)}" in line
    assert known(way_in) == [" ".join(shown.split()[:2])]


def test_a_machine_that_lets_no_one_in_is_said_with_the_accounts(machines, tmp_path):
    way_in = boot(machines, tmp_path)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    way_in.wanted["private_key_file"] = str(tmp_path / "other")
    text = said(way_in.first_login)
    assert "lets none of these accounts in with your key: root, deploy." in text
    assert str(tmp_path / "other") in text


def test_a_machine_that_does_not_answer_is_said_with_what_ssh_said(machines, tmp_path):
    way_in = boot(machines, tmp_path)
    machines.end(ADDRESS)
    way_in.wanted["timeout_seconds"] = 1
    text = said(way_in.first_login)
    assert f"did not answer SSH on port {machines.port} within 1 s; ssh said: " in text
    assert "Connection refused" in text


def test_other_hosts_that_are_known_stay(tmp_path):
    file = tmp_path / ".ssh" / "known_hosts"
    know(file, "203.0.113.1", ["ssh-ed25519 AAAA"])
    know(file, "203.0.113.10", ["ssh-ed25519 BBBB", "ssh-rsa CCCC"])
    know(file, "203.0.113.1", ["ssh-ed25519 DDDD"])
    assert known_keys(file, "203.0.113.1") == ["ssh-ed25519 DDDD"]
    assert known_keys(file, "203.0.113.10") == ["ssh-ed25519 BBBB", "ssh-rsa CCCC"]
    know(file, "203.0.113.10", [])
    assert known_keys(file, "203.0.113.10") == []
    assert file.stat().st_mode & 0o777 == 0o644
    assert file.parent.stat().st_mode & 0o777 == 0o700
