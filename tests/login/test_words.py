"""What is said where no one gets in: what happened, and what to type. Nearly all of it by real programs."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ask_hosts import ask
from debian_host import free_port, machine


@contextmanager
def listener(*words: bytes, hang_up: bool = True) -> Iterator[int]:
    """Something that listens, says these words to whoever connects, and hangs up; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                for word in words:
                    connection.sendall(word)
                if hang_up:
                    connection.close()
                kept.append(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for connection in kept:
            connection.close()


def make_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture(scope="module")
def answers(accounts, tmp_path_factory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("words")
    ssh_folder = folder / "ssh"
    ssh_folder.mkdir(mode=0o700)
    entry = f"  HostName 127.0.0.1\n  Port {accounts.port}\n  IdentityFile {accounts.key}\n"
    (ssh_folder / "config").write_text(
        f"Host jump\n{entry}  User nosudo\n  UserKnownHostsFile {folder}/known\n  StrictHostKeyChecking accept-new\n"
        f"Host stranger\n{entry}  User nosudo\n  UserKnownHostsFile {folder}/none\n  StrictHostKeyChecking yes\n"
        f"Host closed\n{entry}  User closed\n  UserKnownHostsFile {folder}/known\n  StrictHostKeyChecking accept-new\n"
        f"Host away\n  HostName 127.0.0.1\n  Port 1\n"
    )
    other = make_key(folder / "other")
    known = folder / "changed"
    known.write_text(f"[127.0.0.1]:{accounts.port} {other.with_suffix('.pub').read_text()}")
    readable = folder / "readable"
    readable.write_bytes(accounts.key.read_bytes())
    readable.chmod(0o644)
    putty = folder / "key.ppk"
    putty.write_text("PuTTY-User-Key-File-3: ssh-ed25519\n")
    putty.chmod(0o600)

    def by(arguments: str, **more: Any) -> dict[str, Any]:
        return accounts.variables(
            ansible_ssh_common_args=f"-o UserKnownHostsFile={folder}/known_hosts {arguments}", **more
        )

    def with_key(path: Path) -> dict[str, Any]:
        return accounts.variables(ansible_ssh_private_key_file=str(path))

    with listener(b"HTTP/1.1 400 Bad Request\r\n\r\n") as web, listener() as closing, listener(hang_up=False) as silent:
        yield ask(
            folder,
            {
                "refused": accounts.variables(ansible_port=free_port()),
                "nameless": accounts.variables(ansible_host="no-such-host.invalid"),
                "brackets": accounts.variables(ansible_host="[::1]"),
                "web": accounts.variables(ansible_port=web),
                "closing": accounts.variables(ansible_port=closing),
                "silent": accounts.variables(ansible_port=silent, ansible_timeout=1),
                "changed": accounts.variables(ansible_ssh_common_args=f"-o UserKnownHostsFile={known}"),
                "unknown": accounts.variables(
                    ansible_ssh_args="-o StrictHostKeyChecking=yes",
                    ansible_ssh_common_args=f"-o UserKnownHostsFile={folder}/nothing",
                ),
                "old": by("-o KexAlgorithms=diffie-hellman-group14-sha1"),
                "cipher": by("-o Ciphers=3des-cbc"),
                "misspelt": by("-o StrictHostKeyChekking=no"),
                "readable": with_key(readable),
                "putty": with_key(putty),
                "absent": with_key(folder / "absent"),
                "strange key": with_key(other),
                "bastion": by("-J away"),
                "strange bastion": by("-J stranger"),
                "closed bastion": by("-J closed"),
                "behind": by("-J jump", ansible_port=1),
            },
            users=("deploy",),
            ssh_folder=ssh_folder,
        )


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("refused", "127.0.0.1 does not answer SSH on port"),
        ("refused", "the machine refuses the connection, so it is on, and nothing listens there"),
        ("refused", "ansible_port: 2222"),
        ("nameless", "no-such-host.invalid is no name that this machine knows"),
        ("nameless", "ansible_host: 203.0.113.10"),
        ("brackets", "[::1] is an address in brackets, which ssh takes for a name. Write it without them"),
        ("web", "of 127.0.0.1 is not sshd"),
        ("closing", "closes connections on port"),
        ("closing", "wait ten minutes"),
        ("silent", "the connection stands, and no greeting of sshd comes"),
        ("changed", "127.0.0.1 shows another host key than the one it had before"),
        ("changed", "/changed -R '[127.0.0.1]:"),
        ("changed", "compare the key's fingerprint in your provider's console"),
        ("unknown", "127.0.0.1 is not in your known_hosts, and ssh is set to refuse unknown hosts"),
        ("old", "This machine's ssh is too old for 127.0.0.1: they have no key exchange in common"),
        ("old", "host_hardening_ssh_additional_key_exchanges: [curve25519-sha256]"),
        ("cipher", "have no cipher in common"),
        ("misspelt", "ssh does not take its own configuration on this machine"),
        ("readable", "/readable, because others on this machine can read it: chmod 600 "),
        ("putty", "puttygen "),
        ("absent", "/absent is not there"),
        ("strange key", "lets none of these accounts in with your key: deploy, root. Put your public key into"),
        ("bastion", "because the bastion away does not let you in"),
        ("strange bastion", "The bastion stranger is not in your known_hosts, and options of ansible.cfg do not reach"),
        ("closed bastion", "The bastion closed lets you in, and leads on to no other host"),
        ("closed bastion", "host_hardening_ssh_port_forwarding: true"),
        ("behind", "The bastion jump lets you in, and does not reach 127.0.0.1 on port 1: Connection refused"),
    ],
)
def test_it_is_told_what_happened_and_what_to_do(answers, host, said):
    assert "user" not in answers[host]
    assert said in answers[host]["msg"]


def test_no_reason_is_taken_for_another_one(answers):
    """That a machine is off is said of none of these: all have answered, or were never asked."""
    assert [host for host, answer in answers.items() if "Is the machine on" in answer["msg"]] == ["behind"]


PENALISED = """
let_in root
printf 'PerSourcePenalties authfail:60 min:1\\n' >/etc/ssh/sshd_config.d/00-first.conf
"""


def test_a_host_that_refuses_an_address_for_a_while_is_told_from_one_that_is_off(tmp_path):
    """sshd from 9.8 on; a password that is wrong once brings it on here."""
    with machine(tmp_path / "machine", PENALISED) as made:
        wrong = ask(
            tmp_path / "first", {"one": made.variables(ansible_ssh_private_key_file="", ansible_password="wrong")}
        )
        assert "lets none of these accounts in with your key or password: root" in wrong["one"]["msg"]
        answers = ask(tmp_path / "then", {"one": made.variables()})
        assert "penalty: failed authentication" in made.log
    assert (
        "lets no one in from this machine's address at the moment: logins from there have failed too often"
        in answers["one"]["msg"]
    )
    assert "Wait a minute, ten at most, without trying in between" in answers["one"]["msg"]


def test_looking_for_the_account_brings_no_penalty_on(tmp_path):
    """By sshd's own limits, a first run after the other; a password is not tried with an account that it is not for."""
    prepare = "printf 'PermitRootLogin yes\nPerSourcePenalties yes\n' >/etc/ssh/sshd_config.d/00.conf"
    with machine(tmp_path / "machine", f"echo root:secret | chpasswd; {prepare}") as made:
        host = {"one": made.variables(ansible_ssh_private_key_file="", ansible_password="secret")}
        for number in range(4):
            folder = tmp_path / str(number)
            assert ask(folder, host, users=("deploy",), ANSIBLE_SSH_RETRIES="5")["one"]["user"] == "root"
        assert "penalty" not in made.log
        # Once for each account, whatever number of retries is set for tasks.
        assert made.log.count("Connection closed by invalid user deploy") == 4


# What answers, and how it ends, where no real one is to be had.
STANDS_IN = """\
#!/bin/sh
# What asks for ssh's own settings, or for a connection of an earlier run, goes nowhere.
case "$*" in *" -G "*) exec ssh "$@" ;; *" -O "*) exit 1 ;; esac
echo "$*" >>"$0.calls"
{answer}
"""


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            "echo \"'sh' is not recognized as an internal or external command,\" >&2; exit 1",
            "has no shell that modelhost could use, and needs Debian or Ubuntu: Windows, a router",
        ),
        ("echo 'bad command name sh (line 1 column 1)'; exit 1", "Windows, a router"),
        ("echo '% Invalid input detected at marker'; exit 1", "Windows, a router"),
        (
            "echo 'ssh: connect to host 203.0.113.10 port 22: No route to host' >&2; exit 255",
            "There is no way from this machine to",
        ),
        (
            "echo 'ssh: connect to host 2001:db8::1 port 22: Network is unreachable' >&2; exit 255",
            "needs IPv6 here too",
        ),
        (
            "echo 'ssh: connect to host 203.0.113.10 port 22: Connection timed out' >&2; exit 255",
            "nothing comes back. Is the machine on",
        ),
        (
            "echo 'ssh: Could not resolve hostname vm1: Temporary failure in name resolution' >&2; exit 255",
            "no name server answers",
        ),
        (
            "echo 'System is booting up. Unprivileged users are not permitted to log in yet.' >&2; exit 255",
            "is starting or shutting down",
        ),
        (
            "echo 'Received disconnect from ::1 port 22:2: Too many authentication failures' >&2; exit 255",
            "hung up on root",
        ),
        (
            'echo \'Please login as the user "ubuntu" rather than the user "root".\'; echo; exit 142',
            "ansible_user: ubuntu",
        ),
        ("exit 255", "does not let root in. ssh said nothing"),
    ],
)
def test_what_no_real_host_here_says_is_told_as_well(tmp_path, answer, said):
    executable = tmp_path / "ssh"
    executable.write_text(STANDS_IN.format(answer=answer))
    executable.chmod(0o755)
    answers = ask(
        tmp_path / "ask", {"one": {"ansible_host": "203.0.113.10", "ansible_ssh_executable": str(executable)}}
    )
    assert said in answers["one"]["msg"]


@pytest.mark.parametrize(
    ("answer", "times"),
    [
        # Of the host: no other account could do better, and each attempt is one that sshd counts.
        ("echo 'ssh: connect to host 203.0.113.10 port 22: Connection refused' >&2; exit 255", 1),
        ("echo 'Host key verification failed.' >&2; exit 255", 1),
        ("echo 'ssh: connect to host 203.0.113.10 port 22: Connection timed out' >&2; exit 255", 1),
        # Once more, for ssh -v to say what came instead of a greeting.
        ("echo 'kex_exchange_identification: Connection closed by remote host' >&2; exit 255", 2),
        # Of the account.
        ("echo 'root@203.0.113.10: Permission denied (publickey).' >&2; exit 255", 2),
        ("echo 'This account is currently not available.'; exit 1", 2),
    ],
)
def test_the_first_clear_refusal_ends_the_search(tmp_path, answer, times):
    executable = tmp_path / "ssh"
    executable.write_text(STANDS_IN.format(answer=answer))
    executable.chmod(0o755)
    host = {"ansible_host": "203.0.113.10", "ansible_ssh_executable": str(executable)}
    ask(tmp_path / "ask", {"one": host}, users=("deploy",), ANSIBLE_SSH_RETRIES="3")
    assert len((tmp_path / "ssh.calls").read_text().splitlines()) == times
