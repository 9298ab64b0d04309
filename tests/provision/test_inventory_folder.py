"""What is written into a deployment's folder, and what people have written there and is kept."""

from pathlib import Path

import pytest
from ansible_collections.modelhost.modelhost.plugins.action.inventory_folder import (
    InventoryError,
    changed,
    forget,
    is_free,
    read,
)
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.host_keys import know, known_keys

NEW = {"ansible_host": "203.0.113.10", "ansible_user": "root"}


def hosts(inventory):
    return inventory["modelhost"]["hosts"]


def test_a_host_is_added_beside_what_is_there(tmp_path):
    before = {"all": {"children": {"others": None}}, "modelhost": {"hosts": {"old": {"ansible_host": "203.0.113.1"}}}}
    after = changed(before, {"vm1": NEW}, [], tmp_path)
    assert hosts(after) == {"old": {"ansible_host": "203.0.113.1"}, "vm1": NEW}
    assert after["all"] == before["all"]
    assert changed(after, {"vm1": NEW}, [], tmp_path) == after


def test_of_a_host_that_is_there_only_its_address_changes(tmp_path):
    mine = {"ansible_host": "203.0.113.1", "ansible_user": "admin", "release_workers": 1}
    after = changed({"modelhost": {"hosts": {"vm1": mine}}}, {"vm1": NEW}, [], tmp_path)
    assert hosts(after)["vm1"] == mine | {"ansible_host": "203.0.113.10"}


def test_a_host_is_taken_out_and_its_key_is_forgotten(tmp_path):
    before = {"modelhost": {"hosts": {"vm1": NEW | {"ansible_port": 2222}, "vm2": {"ansible_host": "203.0.113.2"}}}}
    known_hosts = tmp_path / ".ssh" / "known_hosts"
    for host in ("[203.0.113.10]:2222", "203.0.113.2"):
        know(known_hosts, host, ["ssh-ed25519 AAAA"])
    (tmp_path / ".ssh" / "vm1.first-key.pub").write_text("")
    assert list(hosts(changed(before, {}, ["vm1", "vm7"], tmp_path))) == ["vm2"]
    forget(tmp_path, before, ["vm1", "vm7"])
    assert known_keys(known_hosts, "[203.0.113.10]:2222") == []
    assert known_keys(known_hosts, "203.0.113.2") == ["ssh-ed25519 AAAA"]
    assert [path.name for path in (tmp_path / ".ssh").iterdir()] == ["known_hosts"]


def test_a_group_without_hosts_is_filled(tmp_path):
    for group in (None, {}, {"hosts": None}):
        assert hosts(changed({"modelhost": group}, {"vm1": NEW}, [], tmp_path)) == {"vm1": NEW}
    assert changed({}, {}, ["vm1"], tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modelhost: {hosts: [models]}\n", "its hosts have to be in modelhost: {hosts: {vm1: ...}}"),
        ("modelhost: models\n", "its hosts have to be in modelhost: {hosts: {vm1: ...}}"),
        ("- modelhost\n", "is no inventory, and was left as it is"),
        ("modelhost: {\n", "is no YAML that can be read, and was left as it is"),
        ("modelhost: {hosts: {vm1: {secret: !vault x}}}\n", "is no YAML that can be read, and was left as it is"),
    ],
)
def test_an_inventory_that_cannot_be_added_to_is_said(tmp_path, text, said):
    file = tmp_path / "hosts.yml"
    file.write_text(text)
    with pytest.raises(InventoryError) as caught:
        changed(read(file), {"vm1": NEW}, [], file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_is_written_only_where_ansible_reads_no_other_in_its_place(tmp_path):
    wanted = tmp_path / "group_vars" / "all" / "provision.yml"
    assert is_free(wanted)
    for other in ("all.yml", "all.json", "all/provision.yml", "all/provision"):
        there = tmp_path / "group_vars" / other
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text("")
        assert not is_free(wanted), other
        there.unlink()
    assert is_free(wanted)
    modelhost = tmp_path / "group_vars" / "modelhost.yml"
    assert is_free(modelhost)
    Path(tmp_path, "group_vars", "modelhost").mkdir()
    assert not is_free(modelhost)
