"""From the account that a provider gives to the account deploy, and again: a real sshd, sudo and PAM."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ask_hosts import changes, inventory, play, run
from debian_host import Machine, machine

# It runs ssh, and writes its command line down.
WRITES_DOWN = """\
#!/bin/sh
printf '%s\\n' "$*" >>"{folder}/commands"
exec ssh "$@"
"""


@contextmanager
def host(folder: Path, prepare: str) -> Iterator[tuple[Machine, Path]]:
    with machine(folder / "machine", prepare) as made:
        yield made, folder


def deploys(made: Machine, folder: Path, **variables: object) -> Path:
    keys = {"deploy_user_authorized_keys": [made.public_key]}
    return inventory(folder, {"one": made.variables(**variables)}, **keys)


def said(ended) -> str:
    return " ".join((ended.stdout + ended.stderr).split())


def test_an_account_whose_sudo_asks_for_a_password_deploys_and_nobody_sees_the_password(tmp_path):
    with host(tmp_path, "sudoer admin") as (made, folder):
        executable = folder / "ssh"
        executable.write_text(WRITES_DOWN.format(folder=folder))
        executable.chmod(0o755)
        file = deploys(made, folder, ansible_user="admin", ansible_ssh_executable=str(executable))
        refused = play(folder, file)
        assert "admin needs a password for sudo on 127.0.0.1, and none was given" in said(refused)
        assert changes(refused) == 0
        (folder / "password").write_text("secret")
        ended = play(folder, file, "--become-password-file", folder / "password", "-vvvv")
        assert ended.returncode == 0, ended.stdout
        assert "secret" not in ended.stdout + ended.stderr
        assert "secret" not in (folder / "commands").read_text() + made.log
        # From then on no password is needed, whatever account the inventory names.
        again = play(folder, file)
        assert (again.returncode, changes(again)) == (0, 0), again.stdout


# Ubuntu's programs of the same names; cp, mv, rm and ln are GNU's.
UBUNTU_26_04 = """
cp --preserve /usr/bin/sudo /usr/bin/sudo.ws
ln -sf sudo-rs /usr/bin/sudo
ln -sf ../bin/visudo-rs /usr/sbin/visudo
for program in /usr/lib/cargo/bin/coreutils/*; do
  case ${program##*/} in cp | mv | rm | ln) ;; *) ln -sf "$program" "/usr/bin/${program##*/}" ;; esac
done
"""


def test_the_programs_of_ubuntu_26_04_do(tmp_path):
    prepare = f"sudoer ubuntu NOPASSWD:\nsudoer admin\naccount nosudo\n{UBUNTU_26_04}"
    with host(tmp_path, prepare) as (made, folder):
        for user, words, variables in [
            ("admin", "admin needs a password for sudo", {}),
            ("nosudo", "usermod --append --groups sudo nosudo", {}),
            ("admin", "ansible_become_exe: sudo.ws", {"ansible_become_password": "secret"}),
        ]:
            refused = play(folder, deploys(made, folder, ansible_user=user, **variables))
            assert words in said(refused)
            assert changes(refused) == 0
        file = deploys(made, folder, ansible_user="ubuntu")
        ended = play(folder, file)
        assert ended.returncode == 0, ended.stdout
        assert changes(ended) > 0
        again = play(folder, file)
        assert (again.returncode, changes(again)) == (0, 0), again.stdout


def test_of_two_programs_for_sudo_the_one_that_is_named_is_asked(tmp_path):
    with host(tmp_path, f"sudoer admin\n{UBUNTU_26_04}") as (made, folder):
        named = {"ansible_become_exe": "sudo.ws", "ansible_become_password": "secret"}
        ended = play(folder, deploys(made, folder, ansible_user="admin", **named))
        assert ended.returncode == 0, ended.stdout


def test_a_machine_that_sets_itself_up_is_waited_for(tmp_path):
    """cloud-init writes its result last."""
    ends = "(sleep 6; date +%s >/run/cloud-init/result.json) >/dev/null 2>&1 </dev/null &"
    with host(tmp_path, f"let_in root\nmkdir -p /run/cloud-init\n{ends}") as (made, folder):
        ended = play(folder, deploys(made, folder, ansible_user="root"))
        assert ended.returncode == 0, ended.stdout
        assert "Wait until the machine has set itself up (cloud-init)" in ended.stdout


def test_a_password_for_sudo_may_be_encrypted_in_the_inventory(tmp_path):
    with host(tmp_path, "sudoer admin") as (made, folder):
        (folder / "vault").write_text("a long word")
        file = deploys(made, folder, ansible_user="admin")
        (folder / "group_vars").mkdir()
        secret = run(
            folder, "ansible-vault", "encrypt_string", "secret", "--name", "ansible_become_password",
            "--vault-password-file", folder / "vault",
        )  # fmt: skip
        (folder / "group_vars" / "modelhost.yml").write_text(secret.stdout)
        ended = play(folder, file, "--vault-password-file", folder / "vault")
        assert ended.returncode == 0, ended.stdout
        assert "secret" not in ended.stdout + ended.stderr + (folder / "group_vars" / "modelhost.yml").read_text()


def test_root_that_has_a_password_and_no_key_deploys(tmp_path):
    prepare = "echo root:secret | chpasswd; echo PermitRootLogin yes >/etc/ssh/sshd_config.d/root.conf"
    with host(tmp_path, prepare) as (made, folder):
        file = deploys(made, folder, ansible_user="root")
        assert "lets none of these accounts in with your key: deploy, root" in said(play(folder, file))
        (folder / "password").write_text("secret")
        ended = play(folder, file, "--connection-password-file", folder / "password")
        assert ended.returncode == 0, ended.stdout
        # It is root's: the account deploy is not asked for it.
        assert "Failed password" not in made.log
        assert play(folder, file).returncode == 0


@pytest.mark.parametrize("first", ["root", "admin"])
def test_an_account_that_the_command_line_names_gives_way_to_the_one_that_is_made(tmp_path, first):
    """-e wins over what a play sets: it went on as root, whose login it had closed."""
    with host(tmp_path, "let_in root; sudoer admin NOPASSWD:") as (made, folder):
        file = deploys(made, folder)
        # Each task by a connection of its own: one that is shared goes on after the login is closed.
        alone = {"ANSIBLE_SSH_ARGS": "-o StrictHostKeyChecking=accept-new"}
        ended = play(folder, file, "-e", f"ansible_user={first}", **alone)
        assert ended.returncode == 0, ended.stdout
        again = play(folder, file, "-e", f"ansible_user={first}")
        assert (again.returncode, changes(again)) == (0, 0), again.stdout


def test_what_no_play_can_set_otherwise_is_refused_with_the_word_to_leave_out(tmp_path):
    with host(tmp_path, "sudoer deploy NOPASSWD:") as (made, folder):
        ended = play(folder, deploys(made, folder), "-e", "ansible_ssh_user=root")
        assert ended.returncode != 0
        assert "one lets deploy in, and -e ansible_ssh_user=root on the command line" in said(ended)


NOISE = """
sed -i '1i echo "Welcome to key=value"' ~root/.bashrc
sed -i '1i echo "ssh-ed25519 AAAA is a key"' ~root/.bashrc
"""


@pytest.mark.parametrize("copied", [False, True])
def test_what_a_shell_says_before_each_command_is_no_key_and_no_fact(tmp_path, copied):
    with host(tmp_path, f"let_in root {NOISE}") as (made, folder):
        keys = {"deploy_user_authorized_keys": [], "deploy_user_copy_first_keys": True} if copied else {}
        file = deploys(made, folder, **keys)
        ended = play(folder, file)
        assert ended.returncode == 0, ended.stdout
        again = play(folder, file)
        assert (again.returncode, changes(again)) == (0, 0), again.stdout


WITHOUT_PYTHON = """
let_in root
mv /usr/bin/python3 /root/python3
cat >/usr/bin/apt-get <<'END'
#!/bin/sh
echo "$*" >>/test/apt
case "$*" in *install*python3*) mv /root/python3 /usr/bin/ ;; esac
END
"""


def test_a_host_without_python_is_given_it_and_a_check_says_so(tmp_path):
    with host(tmp_path, WITHOUT_PYTHON) as (made, folder):
        file = deploys(made, folder)
        check = play(folder, file, "--check")
        assert check.returncode == 0, check.stdout
        assert "This host has no Python yet" in said(check)
        assert not (made.folder / "apt").exists()
        ended = play(folder, file)
        assert ended.returncode == 0, ended.stdout
        assert (made.folder / "apt").read_text().splitlines() == [
            "-qq update",
            "-qq install --no-install-recommends python3",
        ]
        again = play(folder, file)
        assert (again.returncode, changes(again)) == (0, 0), again.stdout


def test_a_python_that_does_not_run_is_refused(tmp_path):
    with host(
        tmp_path,
        "let_in root; rm /usr/bin/python3; printf '#!/bin/sh\\nexit 1\\n' >/usr/bin/python3; chmod +x /usr/bin/python3",
    ) as (
        made,
        folder,
    ):
        assert "has a python3 that does not run, and Ansible and the release tool need 3.10 to 3.14" in said(
            play(folder, deploys(made, folder))
        )


GERMAN = """
echo LANG=de_DE.UTF-8 >/etc/default/locale
sudoer admin
account nosudo
"""


def test_a_host_that_speaks_another_language_is_understood(tmp_path):
    with host(tmp_path, GERMAN) as (made, folder):
        file = deploys(made, folder, ansible_user="admin")
        assert "admin needs a password for sudo" in said(play(folder, file))
        without = deploys(made, folder / "nosudo", ansible_user="nosudo", ansible_become_password="secret")
        assert "usermod --append --groups sudo nosudo" in said(play(folder, without))
        for password, words in (
            ("wrong", "The password for sudo that was given is not the one of admin"),
            ("secret", "failed=0"),
        ):
            (folder / "password").write_text(password)
            assert words in said(play(folder, file, "--become-password-file", folder / "password"))
        again = play(folder, file)
        assert (again.returncode, changes(again)) == (0, 0), again.stdout


@pytest.mark.parametrize("user", ["homeless", "nosudo"])
def test_an_account_that_cannot_deploy_is_refused_before_the_host_is_changed(accounts, tmp_path, user):
    words = {
        "homeless": "the home of homeless, /home/homeless, is missing, and Ansible lays files there",
        "nosudo": "nosudo needs a password for sudo",
    }
    ended = play(tmp_path, deploys(accounts, tmp_path, ansible_user=user))
    assert words[user] in said(ended)
    assert changes(ended) == 0
