"""What is made, left and removed at Linode, by the code of the action against a server that speaks its API."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.modelhost.modelhost.plugins.plugin_utils import linode_connection, linode_make
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_connection import Linode, LinodeError
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_desired import Desired, rule, same_rules
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_existing import differences, look
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_make import Maker
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_offer import offer_of
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_remove import Remover, in_words

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0zY2v0C8l1xq3ZcQ5bq1zNq5mY0yqkqz0Wk5jZb1aB me"
ONE = Desired("models", 1, "eu-central", "g6-nanode-1", "linode/debian13", ["modelhost"], [KEY])
THREE = replace(ONE, count=3, balancer=True)


@pytest.fixture
def linode(account: Any, monkeypatch: pytest.MonkeyPatch) -> Linode:
    monkeypatch.setattr(linode_connection.time, "sleep", lambda seconds: None)
    return Linode(account.token, "LINODE_TOKEN", account.url)


def make(linode: Linode, desired: Desired, seconds: float = 5, user_data: str = "") -> Maker:
    """Make what is missing."""
    maker = Maker(linode, desired, look(linode, desired), lambda label: user_data, 0)
    maker.make(seconds)
    return maker


def said(call: Callable[[], Any]) -> str:
    with pytest.raises(LinodeError) as caught:
        call()
    return str(caught.value)


def only(things: dict[int, Any]) -> dict[str, Any]:
    (thing,) = things.values()
    return thing


def test_a_machine_is_made_behind_its_firewall_with_a_key_and_a_password_that_no_one_knows(account, linode):
    maker = make(linode, ONE, user_data="#cloud-config\n{}")
    body = only(account.bodies)
    assert body["authorized_keys"] == [KEY]
    assert body["firewall_id"] == only(account.firewalls)["id"]
    assert body["metadata"] == {"user_data": "I2Nsb3VkLWNvbmZpZwp7fQ=="}
    assert "private_ip" not in body
    assert only(account.machines)["status"] == "running"
    assert len(maker.made) == 2
    assert body["root_pass"] not in str(maker)
    make(linode, replace(ONE, name="others"))
    first, second = (body["root_pass"] for body in account.bodies.values())
    assert first != second
    assert len(first) == 64


def test_the_firewall_lets_in_what_it_says_and_nothing_else(account, linode):
    make(linode, replace(ONE, ssh_sources=["203.0.113.7", "2001:db8::/32"]))
    rules = only(account.firewalls)["rules"]
    assert (rules["inbound_policy"], rules["outbound_policy"]) == ("DROP", "ACCEPT")
    assert [(one["protocol"], one.get("ports"), one["addresses"]) for one in rules["inbound"]] == [
        ("TCP", "22", {"ipv4": ["203.0.113.7/32"], "ipv6": ["2001:db8::/32"]}),
        ("TCP", "80,443", {"ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"]}),
        ("ICMP", None, {"ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"]}),
    ]


def test_what_is_there_is_not_made_again(account, linode):
    make(linode, THREE)
    before = len(account.asked)
    maker = make(linode, THREE)
    assert (maker.made, maker.noted) == ([], [])
    assert not [one for one in account.asked[before:] if not one.startswith("GET ")]


def test_a_firewall_that_was_made_before_a_failure_is_taken(account, linode):
    account.refuse("POST", "/linode/instances", 400, "region is full", field="region")
    assert "region is full" in said(lambda: make(linode, ONE))
    assert (account.labels(), len(account.firewalls)) == ([], 1)
    make(linode, ONE)
    assert (account.labels(), len(account.firewalls)) == (["models"], 1)


def test_a_machine_without_a_firewall_is_put_behind_it(account, linode):
    make(linode, ONE)
    account.devices[only(account.firewalls)["id"]].clear()
    account.lose("POST", f"/networking/firewalls/{only(account.firewalls)['id']}/devices", carried_out=True)
    assert make(linode, ONE).made == ["models is behind the firewall models now"]
    assert len(account.devices[only(account.firewalls)["id"]]) == 1


def test_a_machine_behind_a_firewall_of_its_owner_is_left_there(account, linode):
    make(linode, ONE)
    only(account.firewalls)["label"] = "office"
    maker = make(linode, ONE)
    assert maker.noted == ["models stays behind the firewall office, which it has already"]
    assert [one for one in maker.made if "machine" in one or "behind" in one] == []


def test_a_machine_that_does_not_start_is_said_with_its_state(account, linode):
    account.states = ("provisioning", "booting")
    text = said(lambda: make(linode, ONE, seconds=0.2))
    assert "After 0 s models is booting." in text
    assert "LISH" in text


def test_a_machine_that_is_switched_off_is_said_and_not_waited_for(account, linode, monkeypatch):
    make(linode, ONE)
    monkeypatch.setattr(linode_make, "OFF_SECONDS", 0.1)
    only(account.machines)["status"] = "offline"
    account.states = ("booting", "running")
    text = said(lambda: make(linode, ONE, seconds=60))
    assert text.startswith(
        f"models is switched off. Switch it on: https://cloud.linode.com/linodes/{only(account.machines)['id']}"
    )


def test_a_machine_that_is_being_removed_is_waited_for_by_its_owner(account, linode):
    make(linode, ONE)
    only(account.machines)["status"] = "deleting"
    assert said(lambda: look(linode, ONE)).startswith("models is being removed at this moment.")


def test_other_types_regions_images_and_rules_are_said_and_left(account, linode):
    make(linode, ONE)
    wanted = replace(ONE, kind="g6-standard-1", region="us-east", ports=[8443])
    told = differences(look(linode, wanted), wanted)
    assert told[0].startswith(
        "models is g6-nanode-1 in eu-central and stays so, though provision_type says g6-standard-1"
    )
    assert "provision_region says us-east" in told[0]
    assert told[1].startswith("the firewall models has other rules than these and keeps them: it lets in SSH, TCP 8443")
    assert make(linode, wanted).made == []
    (image,) = differences(look(linode, ONE), replace(ONE, image="linode/debian12"))
    assert image == "models was made from linode/debian13 and stays so, though provision_image says linode/debian12"
    assert differences(look(linode, ONE), ONE) == []


def test_a_firewall_that_is_switched_off_is_said(account, linode):
    make(linode, ONE)
    only(account.firewalls)["status"] = "disabled"
    assert differences(look(linode, ONE), ONE) == ["the firewall models is disabled: it keeps nobody out"]


def test_a_fleet_has_a_balancer_that_passes_connections_on(account, linode):
    make(linode, THREE)
    assert account.labels() == ["models-1", "models-2", "models-3"]
    assert all(body["private_ip"] for body in account.bodies.values())
    ports = {one["port"]: one for one in account.configs[only(account.balancers)["id"]]}
    assert sorted(ports) == [80, 443]
    assert {(one["protocol"], one["check"]) for one in ports.values()} == {("tcp", "connection")}
    private = {machine["label"]: machine["ipv4"][1] for machine in account.machines.values()}
    assert {node["label"]: node["address"] for node in account.nodes[ports[443]["id"]]} == {
        label: f"{address}:443" for label, address in private.items()
    }


def test_a_machine_that_comes_later_is_added_to_the_balancer(account, linode):
    make(linode, replace(THREE, count=2))
    number = only(account.balancers)["id"]
    config = account.configs[number][0]["id"]
    account.lose("POST", f"/nodebalancers/{number}/configs/{config}/nodes", carried_out=True)
    maker = make(linode, THREE)
    assert [one for one in maker.made if "balancer" in one] == [
        "models-3 is behind port 80 of the balancer models now",
        "models-3 is behind port 443 of the balancer models now",
    ]
    assert [len(nodes) for nodes in account.nodes.values()] == [3, 3]


def test_a_machine_that_no_balancer_reaches_is_said(account, linode):
    make(linode, ONE)
    assert said(lambda: make(linode, replace(ONE, balancer=True))).startswith("models has no private address")
    assert account.balancers == {}


def test_a_balancer_whose_answer_was_lost_is_not_made_twice(account, linode):
    account.lose("POST", "/nodebalancers", carried_out=True)
    make(linode, THREE)
    assert len(account.balancers) == 1


def test_all_of_it_is_removed_and_what_others_have_is_not(account, linode):
    make(linode, THREE)
    make(linode, replace(ONE, name="models-of-others"))
    existing = look(linode, THREE)
    assert in_words(existing, THREE)[0] == "the balancer models: 198.51.100.7"
    remover = Remover(linode, THREE, existing)
    remover.remove()
    assert account.labels() == ["models-of-others"]
    assert [one["label"] for one in account.firewalls.values()] == ["models-of-others"]
    assert account.balancers == {}
    assert [one.split("(")[0] for one in account.asked if one.startswith("DELETE")][-1].startswith(
        "DELETE /networking/"
    )


def test_machines_of_an_earlier_number_are_removed_too(account, linode):
    make(linode, THREE)
    desired = replace(ONE, name="models")
    Remover(linode, desired, look(linode, replace(desired, balancer=True))).remove()
    assert account.labels() == []


def test_a_machine_of_such_a_name_that_is_not_behind_the_firewall_is_left(account, linode):
    make(linode, ONE)
    make(linode, replace(ONE, name="models-7"))
    existing = look(linode, ONE)
    assert differences(existing, ONE) == ["there is also models-7, which this is not about"]
    Remover(linode, ONE, existing).remove()
    assert account.labels() == ["models-7"]


def test_a_firewall_before_other_machines_stays(account, linode):
    make(linode, ONE)
    make(linode, replace(ONE, name="stranger"))
    for devices in account.devices.values():
        devices.clear()
    firewall = next(number for number, one in account.firewalls.items() if one["label"] == "models")
    for machine in account.machines.values():
        account.attach(firewall, machine)
    remover = Remover(linode, ONE, look(linode, ONE))
    remover.remove()
    assert account.labels() == ["stranger"]
    assert len(remover.left) == 1
    assert firewall in account.firewalls


def test_what_is_gone_meanwhile_is_removed(account, linode):
    make(linode, ONE)
    existing = look(linode, ONE)
    account.machines.clear()
    remover = Remover(linode, ONE, existing)
    remover.remove()
    assert remover.removed == ["the machine models", "the firewall models"]


@pytest.mark.parametrize(
    ("region", "kind", "image", "said_of_it"),
    [
        ("eu-centrl", "g6-nanode-1", "linode/debian13", "there is no such region; did you mean eu-central"),
        ("frankfurt", "g6-nanode-1", "linode/debian13", "did you mean eu-central?"),
        ("xyz", "g6-nanode-1", "linode/debian13", "it has br-off, eu-central, id-cgk"),
        ("eu-central", "g6-nano-1", "linode/debian13", "no such type of machine; did you mean g6-nanode-1"),
        ("eu-central", "g6-nanode-1", "linode/debian14", "there is no such image; did you mean linode/debian1"),
        ("eu-central", "g6-nanode-1", "linode/arch", "only Debian and Ubuntu are supported"),
        ("no-wall", "g6-nanode-1", "linode/debian13", "that region has no Cloud Firewall"),
        ("br-off", "g6-nanode-1", "linode/debian13", "that region has an outage"),
        ("eu-central", "g6-standard-1", "linode/debian13", "it cannot be had in eu-central at present"),
    ],
)  # fmt: skip
def test_what_linode_does_not_have_is_said_with_what_is_near(account, linode, region, kind, image, said_of_it):
    account.unavailable = ("g6-standard-1",)
    assert said_of_it in said(lambda: offer_of(linode, region, kind, image, False))
    assert not [one for one in account.asked if not one.startswith("GET ")]


def test_everything_that_is_wrong_is_said_at_once(linode):
    text = said(lambda: offer_of(linode, "here", "large", "debian", False))
    assert [line.split(":")[0] for line in text.splitlines()[1:]] == [
        "- provision_region",
        "- provision_type",
        "- provision_image",
    ]


def test_the_price_is_that_of_the_region(account, linode):
    assert offer_of(linode, "eu-central", "g6-nanode-1", "linode/debian13", False).monthly == 5.0
    dear = offer_of(linode, "id-cgk", "g6-nanode-1", "linode/debian13", True)
    assert (dear.monthly, dear.hourly, dear.balancer_monthly) == (6.0, 0.009, 10.0)


def test_whether_a_new_machine_can_be_told_its_host_key_is_known(linode):
    assert offer_of(linode, "eu-central", "g6-nanode-1", "linode/debian13", False).cloud_init
    assert not offer_of(linode, "old-town", "g6-nanode-1", "linode/debian13", False).cloud_init


def test_rules_are_the_same_whatever_they_are_called():
    there = ONE.rules() | {"version": 4, "fingerprint": "7bcc0f03"}
    there["inbound"] = [one | {"label": "renamed", "description": "x"} for one in reversed(there["inbound"])]
    assert same_rules(there, ONE.rules())
    assert not same_rules(there | {"inbound_policy": "ACCEPT"}, ONE.rules())
    assert not same_rules(
        there | {"inbound": [*there["inbound"], rule("mysql", "TCP", ["0.0.0.0/0"], "3306")]}, ONE.rules()
    )
    assert not same_rules(there | {"inbound": None}, ONE.rules())
