"""A mistake in an inventory is said with file, line and the line itself, whichever command met it."""

import re
import subprocess

import pytest
from playing import PROGRAMS, PROJECT, inventory_away, run

BROKEN = {
    "one blank before a variable": ("release_threads: 2\n release_workers: 2\n", 2, " release_workers: 2", 2),
    "no blank after a colon": ("release_threads: 2\nrelease_workers:2\n", 2, "release_workers:2", 17),
    "no blank after a colon, and more": ("release_workers:2\nrelease_threads: 2\n", 1, "release_workers:2", 17),
    "no colon": ("release_threads: 2\nrelease_workers 2\n", 2, "release_workers 2", 16),
    "a tab": ("release_threads: 2\n\trelease_workers: 2\n", 2, " release_workers: 2", 1),
    "a quote that is not closed": ('release_threads: 2\nrelease_workers: "2\n\n', 2, 'release_workers: "2', 18),
    "a bracket that is not closed": ("release_models: [iris/1\nrelease_threads: 2\n", 1, "release_models: [iris/1", 17),
}


def lines_of(printed):
    return [line.removeprefix("[ERROR]: ").rstrip() for line in (printed.stdout + printed.stderr).splitlines()]


@pytest.fixture
def inventory(tmp_path):
    inventory_away(tmp_path, "one")
    (tmp_path / "group_vars").mkdir()
    return tmp_path


@pytest.mark.parametrize("what", BROKEN)
def test_a_mistake_in_variables_has_its_line_and_a_mark(inventory, what):
    content, number, line, column = BROKEN[what]
    file = inventory / "group_vars" / "modelhost.yml"
    file.write_text(content)
    printed = run(PROJECT, "ansible-playbook", "playbooks/status.yml", "-i", inventory)
    assert printed.returncode != 0
    said = lines_of(printed)
    at = next(at for at, each in enumerate(said) if each.startswith(f"{file}:{number}: "))
    assert said[at + 1 : at + 3] == [f"  {line}", f"  {' ' * (column - 1)}^"]


@pytest.mark.parametrize("playbook", ["playbooks/plan.yml", "playbooks/status.yml", "site.yml"])
@pytest.mark.parametrize("callback", ["modelhost.modelhost.report", "modelhost.modelhost.steps", "default"])
@pytest.mark.parametrize("options", [[], ["-v"]])
def test_every_command_says_so(inventory, playbook, callback, options):
    file = inventory / "group_vars" / "all.yml"
    file.write_text("a: 1\n b: 2\n")
    printed = run(PROJECT, "ansible-playbook", playbook, "-i", inventory, *options, ANSIBLE_STDOUT_CALLBACK=callback)
    assert printed.returncode != 0
    assert f"{file}:2: " in printed.stderr
    assert "\n   b: 2\n   ^\n" in printed.stderr


def test_of_an_encrypted_file_no_line_is_shown(inventory):
    password, file = inventory / "password.txt", inventory / "group_vars" / "all.yml"
    password.write_text("a password of these tests")
    file.write_text("a: 1\n secret: hidden\n")
    vault = ["--vault-password-file", password]
    subprocess.run([PROGRAMS / "ansible-vault", "encrypt", *vault, file], check=True, capture_output=True)
    printed = run(PROJECT, "ansible-playbook", "playbooks/status.yml", "-i", inventory, *vault)
    assert f"{file}: line 2 of what is encrypted there: " in printed.stderr
    assert "hidden" not in printed.stdout + printed.stderr


def test_hosts_that_are_not_yaml_are_said_with_their_line(tmp_path):
    file = inventory_away(tmp_path, "one")
    file.write_text(file.read_text() + "   x:1\n  - y\n")
    printed = run(PROJECT, "ansible-playbook", "playbooks/plan.yml", "-i", tmp_path)
    number = len(file.read_text().splitlines()) - 1
    assert f"{file}:{number}: " in printed.stdout
    assert re.search(r"\n +x:1\n +\^\n", printed.stdout)
    assert "cp -r inventory/example" not in printed.stdout


def test_an_inventory_without_our_group_is_named(tmp_path):
    (tmp_path / "hosts.yml").write_text("others: {hosts: {one: {}}}\n")
    printed = run(PROJECT, "ansible-playbook", "playbooks/plan.yml", "-i", tmp_path)
    assert f"There is no host in the group modelhost of {tmp_path}." in printed.stdout


def test_a_vaulted_value_that_is_wrong_stays_secret(inventory):
    password = inventory / "password.txt"
    password.write_text("a password of these tests")
    vault = ["--vault-password-file", password]
    text = "".join(
        run(PROJECT, "ansible-vault", "encrypt_string", *vault, "--name", name, "hidden").stdout + "\n"
        for name in ("release_workers", "release_workerz", "reverse_proxy_tls")
    )
    (inventory / "group_vars" / "modelhost.yml").write_text(text)
    printed = run(PROJECT, "ansible-playbook", "playbooks/plan.yml", "-i", inventory, *vault)
    assert "hidden" not in printed.stdout + printed.stderr
    assert printed.stdout.count("got a vaulted value") == 3
    assert "did you mean release_workers? Edit " in printed.stdout


def test_a_wrong_value_of_a_file_that_is_encrypted_as_a_whole_stays_secret(inventory):
    password, file = inventory / "password.txt", inventory / "group_vars" / "all" / "secrets.yml"
    password.write_text("a password of these tests")
    file.parent.mkdir()
    file.write_text("release_workers: hidden\n")
    vault = ["--vault-password-file", password]
    subprocess.run([PROGRAMS / "ansible-vault", "encrypt", *vault, file], check=True, capture_output=True)
    printed = run(PROJECT, "ansible-playbook", "playbooks/plan.yml", "-i", inventory, *vault)
    assert "hidden" not in printed.stdout + printed.stderr
    said = " ".join(printed.stdout.split())
    assert "release_workers: got a value that is not shown, but it must be a whole number" in said
    assert f"Edit {file}" in said
    # What is set nowhere belongs where it would have stood without that file.
    assert f"release_models: got nothing, but it is required. Edit {inventory / 'group_vars' / 'modelhost.yml'}" in said
