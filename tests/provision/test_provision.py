"""The playbooks that rent machines and give them back, run as people do, against a server that speaks Linode's API."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.host_keys import fingerprint
from playing import PROJECT

MACHINES = "/linode/instances"
PRICE = "it costs 5.00 USD a month at most (0.0075 USD an hour), without tax"


# One test, because each run stands on those before it.
def test_a_machine_is_rented_deployed_to_by_its_inventory_and_given_back(renting):
    checked = renting.run("provision", "--check", "--diff")
    assert checked.code == 0, checked.out
    assert "makes the machine models" in checked.out
    assert PRICE in checked.out
    assert "+      ansible_host: " not in checked.out
    assert checked.changed == 2
    assert not [one for one in renting.api.asked if not one.startswith("GET ")]
    assert not renting.inventory.exists()

    made = renting.provision()
    assert made.code == 0, made.out
    assert PRICE in made.out
    assert made.out.index(PRICE) < made.out.index("made the machine models")
    own = renting.machines.host_key("127.0.0.1")
    assert (
        f"models (127.0.0.1) showed the host key that was made for it, and has one of its own since: {fingerprint(own)}"
        in (made.line)
    )
    (host,) = renting.hosts.values()
    assert (host["ansible_host"], host["ansible_user"]) == ("127.0.0.1", "root")
    assert host["ansible_ssh_private_key_file"] == str(renting.key)
    assert (renting.inventory / "hosts.yml").read_text().startswith("# Written by `make provision`")

    # What a deployment goes by: Ansible logs in with the inventory alone, and would refuse another host key.
    asked = renting.ansible("models", "raw", "echo in as $LOGNAME")
    assert asked.returncode == 0, asked.stdout + asked.stderr
    variables = yaml.safe_load((renting.inventory / "group_vars" / "modelhost.yml").read_text())
    assert variables["deploy_user_authorized_keys"] == [f"{{{{ lookup('file', '{renting.key}.pub') }}}}"]
    assert variables["release_models"][0] == "models/colours/1"

    # The choices are kept, so that its name is enough; what people have added stays.
    file = renting.inventory / "hosts.yml"
    file.write_text(file.read_text().replace("ansible_user: root", "ansible_user: root\n      release_workers: 1"))
    before = {path: path.read_bytes() for path in renting.inventory.rglob("*") if path.is_file()}
    again = renting.run("provision", "-vvv", provision_region=None, provision_private_key_file=None)
    assert again.code == 0, again.out
    assert again.changed == 0
    assert (
        f"models is there (Linode {next(iter(renting.api.machines))}): g6-nanode-1 in eu-central, running" in again.out
    )
    assert {path: path.read_bytes() for path in renting.inventory.rglob("*") if path.is_file()} == before
    assert renting.api.posts(MACHINES) == 1

    other = renting.run("provision", provision_region="us-east", provision_type="g6-standard-1")
    assert other.code == 0, other.out
    assert other.changed == 0
    assert "models is g6-nanode-1 in eu-central and stays so, though provision_type says g6-standard-1" in other.out

    refused = renting.unprovision(label_again="model")
    assert refused.code != 0
    assert "removes the machine models and its disks: g6-nanode-1 in eu-central, running, 127.0.0.1" in refused.out
    assert "Nothing was removed. To remove it for good, type its name again" in refused.line
    assert renting.api.labels() == ["models"]

    checked = renting.unprovision("--check", label_again=None)
    assert checked.code == 0, checked.out
    assert checked.changed == 2
    assert renting.api.labels() == ["models"]

    removed = renting.unprovision(provision_region=None)
    assert removed.code == 0, removed.out
    assert "removed the machine models" in removed.out
    assert "what is left: " in removed.out
    assert (renting.api.machines, renting.api.firewalls) == ({}, {})
    assert renting.hosts == {}
    assert (renting.inventory / ".ssh" / "known_hosts").read_text() == ""
    assert (renting.inventory / "group_vars" / "modelhost.yml").exists()

    again = renting.unprovision()
    assert again.code == 0, again.out
    assert again.changed == 0
    assert "Linode has nothing of the name models" in again.out


def test_a_fleet_is_rented_with_a_balancer_and_given_back(renting):
    made = renting.provision(provision_count=3, provision_balancer=True)
    assert made.code == 0, made.out
    assert "each machine: costs 5.00 USD a month at most" in made.out
    assert "all of it costs 25.00 USD a month at most, without tax" in made.out
    assert "clients go to the balancer: 198.51.100.7" in made.out
    assert list(renting.hosts) == ["models-1", "models-2", "models-3"]
    assert len({host["ansible_host"] for host in renting.hosts.values()}) == 3
    assert renting.ansible("modelhost", "raw", "true").returncode == 0
    removed = renting.unprovision(provision_count=None, provision_balancer=None)
    assert removed.code == 0, removed.out
    assert (renting.api.machines, renting.api.firewalls, renting.api.balancers) == ({}, {}, {})
    assert renting.hosts == {}


def test_nothing_is_made_without_a_yes(renting):
    for confirm in (None, "no"):
        refused = renting.run("provision", **({"confirm": confirm} if confirm else {}))
        assert refused.code != 0
        assert PRICE in refused.out
        assert "Nothing was made. To make it at this price, answer yes" in refused.line
    assert not [one for one in renting.api.asked if not one.startswith("GET ")]


@pytest.mark.parametrize(("typed", "made"), [("yes", ["models"]), ("y", [])])
def test_a_person_is_asked_at_a_terminal(renting, typed, made):
    assert renting.at_a_terminal("provision", "Make it, at this price? Type yes", typed) == (0 if made else 2)
    assert renting.api.labels() == made


def test_wrong_variables_are_refused_before_linode_is_asked(renting):
    wrong = {
        "provision_name": "Models_1",
        "provision_count": 21,
        "provision_linode_api_url": "http://api.linode.com/v4",
    }
    refused = renting.provision(**wrong)
    assert refused.code != 0
    for name, words in [
        ("provision_name", 'got "Models_1", but it must be a name of 3 to 28 small letters'),
        ("provision_count", "got 21, but it must be from 1 to 20 machines"),
        (
            "provision_linode_api_url",
            'got "http://api.linode.com/v4", but it must be an address that begins with https://',
        ),
    ]:
        assert f"- {name}: {words}" in refused.line
    refused = renting.provision(
        provision_region="Frankfurt am Main", provision_type="", provision_image="debian13",
        provision_tags=["a b"], provision_private_key_file="/nowhere/id", provision_firewall_ssh_sources=["home"],
        provision_firewall_ports=[22], provision_boot_timeout_seconds=0,
    )  # fmt: skip
    for name in (
        "region", "type", "image", "tags", "private_key_file", "firewall_ssh_sources", "firewall_ports",
        "boot_timeout_seconds",
    ):  # fmt: skip
        assert f"- provision_{name}: got " in refused.out
    assert refused.out.count("for example: provision_") == 8
    refused = renting.provision(
        provision_region=None,
        provision_cuont=2,
        provision_tokn="s3cret-s3cret",
        provision_linode_tkoen="s3cret-s3cret",
        provision_count="x",
    )
    assert (
        "provision_region: got nothing, but it is required. Edit inventory/models/group_vars/all/provision.yml"
        in refused.out
    )
    assert "provision_cuont: got 2, but no role reads that name; did you mean provision_count?" in refused.out
    assert 'provision_count: got "x", but it must be a whole number' in refused.out
    assert "s3cret" not in refused.out
    assert renting.api.asked == []


def test_without_a_token_it_is_said_how_to_get_one(renting):
    refused = renting.run("provision", token="")
    assert refused.code != 0
    assert "Linode's API wants a token. Make one at https://cloud.linode.com/profile/tokens" in refused.line
    assert "export LINODE_TOKEN=" in refused.line


def test_a_token_in_the_vault_is_used_and_never_shown(renting):
    password = renting.folder / "password"
    password.write_text("a password of these tests")
    file = renting.inventory / "group_vars" / "all" / "vault.yml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump({"provision_linode_token": renting.api.token}))
    vault = ("--vault-password-file", str(password))
    subprocess.run(
        [Path(sys.executable).with_name("ansible-vault"), "encrypt", *vault, file], check=True, capture_output=True
    )
    made = renting.provision("-vvvv", "--diff", *vault, token="")
    assert made.code == 0, made.out
    assert renting.api.labels() == ["models"]


def test_a_wrong_token_and_one_without_scopes_make_nothing(renting):
    wrong = renting.provision(token="0" * 64)
    assert wrong.code != 0
    assert "Linode does not know the token in LINODE_TOKEN, or it has expired" in wrong.line
    renting.api.scopes = "linodes:read_only firewall:read_only"
    lacking = renting.provision()
    assert "The token lacks the scopes linodes:read_write, firewall:read_write, and nothing was made." in lacking.line
    assert not [one for one in renting.api.asked if not one.startswith("GET ")]


def test_what_a_failure_has_left_is_said_and_the_next_run_goes_on(renting):
    """The answer to the making is lost, and then the machine does not start in time."""
    renting.api.lose("POST", MACHINES, carried_out=True)
    states, renting.api.states = renting.api.states, ("provisioning", "booting")
    failed = renting.provision(provision_boot_timeout_seconds=1)
    assert failed.code != 0
    assert "After 1 s models is booting." in failed.line
    assert "What there is now, and costs: - made: the firewall models" in failed.line
    number = next(iter(renting.api.machines))
    assert f"- made: the machine models (Linode {number}): g6-nanode-1 in eu-central, 127.0.0.1" in failed.out
    assert "Go on: make provision NAME=models" in failed.line
    assert "make unprovision NAME=models" in failed.line
    renting.api.states = states
    # Nothing is to be made any more, so that no one has to say yes; and the first boot's key is still known.
    done = renting.run("provision")
    assert done.code == 0, done.out
    assert "showed the host key that was made for it" in done.out
    assert renting.api.posts(MACHINES) == 1
    assert list(renting.hosts) == ["models"]


def test_a_run_that_is_killed_while_it_makes_is_finished_by_the_next(renting):
    renting.api.states = ("provisioning",)
    renting.kill_when(lambda: renting.api.labels() == ["models"])
    assert not (renting.inventory / "hosts.yml").exists()
    renting.api.states = ("provisioning", "running")
    done = renting.provision()
    assert done.code == 0, done.out
    assert "showed the host key that was made for it" in done.out
    assert renting.api.labels() == ["models"]


def test_a_region_without_metadata_is_trusted_at_first_sight_and_says_so_before(renting):
    made = renting.provision(provision_region="old-town")
    assert made.code == 0, made.out
    words = "old-town hands no settings to a new machine of this image: the key that the machine shows at the first"
    assert made.out.index(words) < made.out.index("made the machine models")
    shown = fingerprint(renting.machines.host_key("127.0.0.1"))
    assert f"was trusted at first sight: its host key is {shown}" in made.out
    assert "metadata" not in next(iter(renting.api.bodies.values()))


def test_a_removal_that_fails_halfway_says_what_is_gone(renting):
    assert renting.provision().code == 0
    number = next(iter(renting.api.firewalls))
    renting.api.refuse("DELETE", f"/networking/firewalls/{number}", 403, "Unauthorized")
    failed = renting.unprovision()
    assert failed.code != 0
    assert "Gone so far: the machine models." in failed.out
    assert "Remove the rest: make unprovision NAME=models" in failed.out
    assert renting.unprovision().code == 0
    assert renting.api.firewalls == {}


def test_the_examples_keys_are_those_that_the_role_puts_others_in_place_of():
    variables = yaml.safe_load((PROJECT / "roles/provision/vars/main.yml").read_text())
    line = variables["__provision_example_keys"].removeprefix("{% raw %}").removesuffix("{% endraw %}")
    assert line in (PROJECT / "inventory/example/group_vars/modelhost.yml").read_text().splitlines()
