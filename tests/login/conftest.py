"""A machine with accounts of all kinds, which is asked once for all of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from debian_host import Machine, machine

pytest.register_assert_rewrite("ask_hosts")

ACCOUNTS = """
let_in root
sudoer admin
sudoer ubuntu NOPASSWD:
sudoer needstty NOPASSWD:
echo 'Defaults:needstty requiretty' >>/etc/sudoers.d/needstty
account nosudo
account closed
printf 'Match User closed\\n  AllowTcpForwarding no\\n' >/etc/ssh/sshd_config.d/closed.conf
account nologin /usr/sbin/nologin
account false /bin/false
account missing /no/such/shell
account expired; chage --expiredate 1 expired
account stale; chage --lastday 0 stale
sudoer noisy NOPASSWD:
sed -i '1i echo "port_holder=a program"' ~noisy/.bashrc
sudoer homeless NOPASSWD:
cp -r ~homeless/.ssh /keys
printf 'Match User homeless\\n  AuthorizedKeysFile /keys/authorized_keys\\n' >/etc/ssh/sshd_config.d/homeless.conf
rm -r ~homeless
chown -R homeless: /keys
sudoer readonly NOPASSWD:
mount -t tmpfs -o size=1m,mode=755 tmpfs /mnt
cp -a ~readonly/.ssh /mnt
usermod -d /mnt readonly
mount -o remount,ro /mnt
sudoer full NOPASSWD:
mount -t tmpfs -o size=1m,mode=755 tmpfs /srv
cp -a ~full/.ssh /srv
usermod -d /srv full
chown full /srv
dd if=/dev/zero of=/srv/fill bs=4k 2>/dev/null || true
account forced
words='Please login as the user \\\\"admin\\\\" rather than the user \\\\"root\\\\".'
sed -i "s|^|command=\\"echo '$words';echo;exit 142\\" |" ~forced/.ssh/authorized_keys
account echoes
sed -i 's|^|command="cat; echo modelhost-probe" |' ~echoes/.ssh/authorized_keys
account backup2
sed -i 's|^|command="echo nothing to restore" |' ~backup2/.ssh/authorized_keys
"""


@pytest.fixture(scope="session")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The machine with all of them."""
    with machine(tmp_path_factory.mktemp("accounts"), ACCOUNTS) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose path is short enough for ssh's shared connections."""
    return tmp_path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A machine has accounts of its own, and files that belong to them."""
    if os.getuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="only root can run a machine with accounts of its own"))
