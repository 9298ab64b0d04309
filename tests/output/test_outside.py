"""What a deployment says of the URL that clients are given, when it asks that from the control machine."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from outside_network import HOST, OTHER, PRIVATE, SIX, fingerprint, network
from playing import PROGRAMS, PROJECT, environment

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can make a network of its own")

# Of ssh, all but what runs on a host: that does here, where the servers are.
SSH = """\
#!/bin/sh
case " $* " in *" -G "*) exec ssh "$@";; esac
for last; do :; done
exec sh -c "$last"
"""
AWAY = "192.88.99.200"
# By name: variables of a host, and arguments that differ.
Case = tuple[dict[str, Any], dict[str, Any]]
BY_ADDRESS, BY_NAME = {"ansible_host": HOST}, {"ansible_host": HOST, "where": "models.example.org"}
CASES: dict[str, Case] = {
    "address": (BY_ADDRESS, {}),
    "name": (BY_NAME, {}),
    "six": ({"ansible_host": SIX, "where": f"[{SIX}]"}, {}),
    "six_by_name": ({"ansible_host": SIX, "where": "six.example.org"}, {}),
    "both": ({"ansible_host": HOST, "where": "both.example.org"}, {}),
    "private": ({"ansible_host": PRIVATE}, {}),
    "late": (BY_NAME, {"port": 454}),
    "failing": (BY_NAME, {"port": 450}),
    "slow": (BY_NAME, {"port": 451}),
    "unknown_certificate": (BY_NAME, {"sha256": ""}),
    "plain": (BY_NAME, {"port": 448, "scheme": "http", "sha256": ""}),
    "closed": (BY_NAME, {"port": 1, "listens_on": 443}),
    "closed_on_the_host": (BY_NAME, {"port": 1, "listens_on": 1}),
    "closed_private": ({"ansible_host": PRIVATE}, {"port": 1}),
    "full": (BY_NAME, {"port": 446}),
    "mute": (BY_NAME, {"port": 445}),
    "closes": (BY_NAME, {"port": 447}),
    "trickles": (BY_NAME, {"port": 452, "scheme": "http", "sha256": ""}),
    "greets": (BY_NAME, {"port": 453}),
    "half": ({"ansible_host": HOST, "where": "both.example.org"}, {"port": 450}),
    "half_of_ssh": ({"ansible_host": SIX, "where": "both.example.org"}, {"port": 450}),
    "six_closed": ({"ansible_host": SIX, "where": "six.example.org"}, {"port": 1}),
    "elsewhere": ({"ansible_host": HOST, "where": "elsewhere.example.org"}, {}),
    "plain_stranger": (BY_NAME, {"port": 449, "scheme": "http", "sha256": ""}),
    "another_of_ours": ({"ansible_host": HOST, "where": f"{OTHER}"}, {"port": 444}),
    "fleet": ({"ansible_host": HOST, "where": f"{OTHER}"}, {"port": 444, "fleet": True}),
    "fleet_at_its_own": ({"ansible_host": OTHER}, {"port": 444, "fleet": True}),
    "nameless": ({"ansible_host": HOST, "where": "missing.example.org"}, {}),
    "nameless_closed": ({"ansible_host": HOST, "where": "missing.example.org"}, {"port": 1}),
    "no_name": ({"ansible_host": HOST, "where": f"{'a' * 64}.example.org"}, {}),
    "alias": ({"ansible_host": "vm1", "ansible_ssh_common_args": f"-o HostName={HOST}", "where": "vm1"}, {}),
    "itself": ({"ansible_host": HOST, "where": "itself.example.org"}, {}),
    "no_way": ({"ansible_host": AWAY}, {}),
    # What may not be seen from here.
    "jump": (BY_NAME | {"ansible_ssh_common_args": "-J bastion.example.org"}, {"port": 1}),
    "command": (BY_NAME | {"ansible_ssh_common_args": "-o ProxyCommand='nc %h %p'"}, {"port": 1}),
    "jump_nameless": (
        {"ansible_host": HOST, "ansible_ssh_common_args": "-J bastion", "where": "missing.example.org"},
        {},
    ),
    "balancer": (
        {"ansible_host": HOST, "where": "elsewhere.example.org"},
        {"port": 444, "trusted_proxies": ["10.0.0.2"]},
    ),
    "balancer_closed": (BY_NAME, {"port": 1, "trusted_proxies": ["10.0.0.2"]}),
    "stranger_in_front": (
        {"ansible_host": HOST, "where": "elsewhere.example.org"},
        {"trusted_proxies": ["10.0.0.2"]},
    ),
    "sources": (BY_NAME, {"port": 1, "allowed_sources": ["203.0.113.0/24"]}),
    "router": ({"ansible_host": PRIVATE, "where": "models.example.org"}, {"port": 1, "listens_on": 443}),
    "told": (BY_NAME, {"port": 1, "refuse": False}),
    "issuer": (BY_NAME, {"issuer_port": 448}),
    "issuer_closed": (BY_NAME, {"issuer_port": 80}),
    # What is not asked at all.
    "loopback": ({"ansible_host": "127.0.0.1"}, {"port": 1}),
    "loopback_six": ({"ansible_host": "::1"}, {"port": 1}),
    "localhost": ({"ansible_host": "localhost"}, {"port": 1}),
    "by_hosts_file": ({"ansible_host": "itself.example.org"}, {"port": 1}),
    "forwarded": ({"ansible_host": "vm2", "ansible_ssh_common_args": "-o HostName=127.0.0.1"}, {"port": 1}),
    "local": (BY_NAME | {"ansible_connection": "local"}, {"port": 1}),
}
REFUSED = {
    *("closed", "closed_on_the_host", "closed_private", "full", "mute", "closes", "trickles", "greets", "half_of_ssh"),
    *(
        "six_closed",
        "elsewhere",
        "plain_stranger",
        "another_of_ours",
        "fleet_at_its_own",
        "nameless",
        "nameless_closed",
        "no_name",
    ),
}
EXCUSED = {
    "jump": "because SSH goes to 192.88.99.9 through bastion.example.org",
    "command": "because SSH goes to 192.88.99.9 through nc %h %p",
    "jump_nameless": "because SSH goes to 192.88.99.9 through bastion",
    "balancer_closed": "because reverse_proxy_trusted_proxies names who is in front",
    "stranger_in_front": "because reverse_proxy_trusted_proxies names who is in front",
    "sources": "because host_hardening_firewall_allowed_sources says who gets through",
    "router": "because SSH goes to the private address 10.9.9.9",
    "no_way": "because it is this machine that has no way there",
}
NOT_ASKED = {"loopback", "loopback_six", "localhost", "by_hosts_file", "forwarded", "local"}


class Asked:
    """The network, and what each case came to."""

    def __init__(self, folder: Path, inside: list[str]) -> None:
        self.folder, self.inside = folder, inside
        (folder / "ssh").write_text(SSH)
        (folder / "ssh").chmod(0o755)
        self.results: dict[str, dict[str, Any]] = {}

    def play(
        self, group: str, tasks: list[dict[str, Any]], hosts: dict[str, dict[str, Any]], *options: str, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Play tasks on these hosts within the network."""
        both = {"ansible_ssh_executable": str(self.folder / "ssh"), "ansible_python_interpreter": sys.executable}
        inventory, playbook = self.folder / "hosts.yml", self.folder / "play.yml"
        inventory.write_text(yaml.safe_dump({group: {"hosts": hosts, "vars": both}}))
        playbook.write_text(yaml.safe_dump([{"name": "Ask", "hosts": "all", "gather_facts": False, "tasks": tasks}]))
        return subprocess.run(
            [*self.inside, PROGRAMS / "ansible-playbook", playbook, "-i", inventory, "--forks", "20", *options],
            cwd=PROJECT, env=environment() | {"COLUMNS": "10000"} | more, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def ask(self, cases: dict[str, Case], **more: str) -> dict[str, dict[str, Any]]:
        """What the action returns for each of them."""
        right = {"sha256": fingerprint(self.folder), "timeout_seconds": 2, "pause_seconds": 0.1}
        hosts: dict[str, dict[str, Any]] = {}
        for name, (variables, given) in cases.items():
            others = {key: value for key, value in given.items() if key not in ("port", "scheme")}
            port = given.get("port", 443)
            where = variables.get("where", variables["ansible_host"])
            where = f"[{where}]" if where.count(":") > 1 and "[" not in where else where
            url = f"{given.get('scheme', 'https')}://{where}:{port}/"
            hosts[name] = variables | {"given": {"url": url, "listens_on": port, **right, **others}}
        action = {"name": "Ask", "modelhost.modelhost.check_endpoint": "{{ given }}"}
        played = self.play(
            "modelhost",
            [action],
            hosts,
            ANSIBLE_STDOUT_CALLBACK="ansible.posix.json",
            ANSIBLE_INJECT_FACT_VARS="false",
            **more,
        )
        return results_of(played, 0)


def results_of(played: subprocess.CompletedProcess[str], task: int) -> dict[str, dict[str, Any]]:
    """What a task came to, by host."""
    assert played.stdout.startswith("{"), played.stdout + played.stderr
    return json.loads(played.stdout)["plays"][0]["tasks"][task]["hosts"]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("outside")
    with network(folder) as inside:
        found = Asked(folder, inside)
        found.results = found.ask(CASES)
        yield found


def said(result: dict[str, Any]) -> str:
    return "\n".join(result.get("progress", [])) + result.get("msg", "")


@pytest.mark.parametrize("name", CASES)
def test_it_fails_where_clients_are_kept_out_and_nothing_excuses_it(asked, name):
    result = asked.results[name]
    assert result.get("failed", False) == (name in REFUSED), result
    assert not result["changed"]
    assert "Traceback" not in json.dumps(result)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("address", f"answers this machine at {HOST}:443"),
        ("name", f"answers this machine at {HOST}:443"),
        ("six", f"answers this machine at [{SIX}]:443"),
        ("six_by_name", f"answers this machine at [{SIX}]:443"),
        ("both", f"answers this machine at {HOST}:443\nanswers this machine at [{SIX}]:443"),
        ("private", f"answers this machine at {PRIVATE}:443"),
        ("late", f"answers this machine at {HOST}:454"),
        ("failing", f"answers this machine at {HOST}:450, with status 502 to /readyz"),
        ("slow", f"this machine reaches it at {HOST}:451, and has no answer to /readyz within 2 s"),
        ("unknown_certificate", f"answers this machine at {HOST}:443"),
        ("plain", f"answers this machine at {HOST}:448"),
        ("issuer", f"answers this machine at {HOST}:443"),
        (
            "fleet",
            f"answers this machine at {OTHER}:444, by the certificate of another one (a balancer, or another host)",
        ),
        (
            "balancer",
            f"answers this machine at {OTHER}:444, by the certificate of another one (a balancer, or another host)",
        ),
    ],
)
def test_a_host_that_answers_has_a_line_for_each_address(asked, name, line):
    assert asked.results[name]["reached"]
    assert said(asked.results[name]) == line


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("closed", f"{HOST}:1 refuses the connections of this machine (connection refused). The machine itself answers "
         "at its port 443: is port 1 open in the provider's firewall, and does what is in front lead it to the host's "
         "port 443?"),
        ("closed_private", f"{PRIVATE}:1 refuses the connections"),
        ("closed_on_the_host", "Nor does the machine answer itself at its port 1: `make logs` has nginx's last lines"),
        ("six_closed", f"[{SIX}]:1 refuses the connections"),
        ("full", f"this machine gets no answer at {HOST}:446 within 2 s"),
        ("mute", f"{HOST}:445 takes a connection and says nothing within 2 s"),
        ("trickles", f"{HOST}:452 takes a connection and says nothing within 2 s"),
        ("closes", f"{HOST}:447 takes a connection and closes it at once"),
        ("greets", f"another machine answers at {HOST}:453: it speaks no TLS (wrong version number)"),
        ("elsewhere", f"elsewhere.example.org leads to {OTHER} on this machine, where SSH finds the host at {HOST}: "
         "does its DNS record have the host's address?"),
        ("plain_stranger", f"at {HOST}:449: it answers /readyz with status 200, and not as this project's nginx does"),
        ("another_of_ours", f"another machine answers at {OTHER}:444: its certificate has the SHA-256 "),
        ("half_of_ssh", f"[{SIX}]:450 refuses the connections"),
        ("nameless", "missing.example.org does not resolve on this machine (Name or service not known). The host "
         f"itself answers, at {HOST}:443. Have a DNS record lead from it to {HOST}, or correct "
         "reverse_proxy_server_names in "),
        ("nameless_closed", f"{HOST}:1 refuses the connections"),
        ("no_name", "aaa.example.org does not resolve on this machine ("),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_to_do(asked, name, words):
    message = asked.results[name]["msg"]
    assert words in message
    assert message.startswith("http")
    assert "What was deployed is live, and nothing was rolled back. `make endpoint` asks again." in message
    assert "write reverse_proxy_outside_check: tell, in " in message


def test_another_certificate_is_named_with_the_right_one(asked):
    message = asked.results["elsewhere"]["msg"]
    both = f"SHA-256 {fingerprint(asked.folder, 'other')}, and the host serves {fingerprint(asked.folder)}."
    assert both in message


@pytest.mark.parametrize("name", EXCUSED)
def test_what_this_machine_may_not_see_is_said_with_the_reason_and_no_failure(asked, name):
    result = asked.results[name]
    assert not result["reached"]
    assert "does not lead to this host from here:" in said(result)
    assert f"That is no error, {EXCUSED[name]}" in said(result)


def test_it_is_said_alone_where_that_is_wanted(asked):
    heading, line = asked.results["told"]["progress"]
    assert heading == "https://models.example.org:1/ does not lead to this host from here:"
    assert line.startswith(f"{HOST}:1 refuses the connections")


def test_an_address_that_does_not_answer_is_named_beside_one_that_does(asked):
    first, second = asked.results["half"]["progress"]
    assert first.startswith(f"answers this machine at {HOST}:450")
    assert second.startswith(f"[{SIX}]:450 refuses the connections")


def test_a_name_of_sshs_own_is_said_and_the_host_asked_at_its_address(asked):
    first, second = asked.results["alias"]["progress"]
    assert first == f"answers this machine at {HOST}:443"
    assert "vm1 does not resolve on this machine (Name or service not known): it is a name of SSH's" in second
    assert "reverse_proxy_server_names" in second


def test_an_issuer_that_cannot_get_through_is_said(asked):
    first, second = asked.results["issuer_closed"]["progress"]
    assert first == f"answers this machine at {HOST}:443"
    assert second.startswith(f"{HOST}:80 does not let this machine connect: the issuer asks there")


def test_a_name_that_leads_to_the_machine_that_asks_is_not_asked(asked):
    assert said(asked.results["itself"]).startswith("not asked from here: on this machine itself.example.org leads to")


@pytest.mark.parametrize("name", NOT_ASKED)
def test_a_host_behind_a_port_of_this_machine_is_left_alone(asked, name):
    assert asked.results[name]["skipped"]
    assert said(asked.results[name]) == ""


def test_a_proxy_of_the_company_excuses_what_is_not_reached(asked):
    (result,) = asked.ask({"closed": CASES["closed"]}, https_proxy="http://proxy.example.org:3128").values()
    assert "That is no error, because https_proxy is set" in said(result)
    (result,) = asked.ask({"closed": CASES["closed"]}, https_proxy="http://p.test:1", no_proxy="example.org").values()
    assert result["failed"]


SERVED = "{{ {'sha256': served, 'lines': []} | to_json }}"
ROLE = [
    {"set_fact": {"reverse_proxy_served": {"rc": 0, "stdout_lines": [SERVED]}}},
    {"import_role": {"name": "modelhost.modelhost.reverse_proxy", "tasks_from": "ask.yml"}},
]
# By name: a host's variables, and what is said of it; nothing where it is not asked.
WRONG = BY_ADDRESS | {"served": "00"}
OF_ROLE: dict[str, tuple[dict[str, Any], str]] = {
    "right": (BY_ADDRESS, f"answers this machine at {HOST}:443"),
    "wrong": (WRONG, "and the host serves 00."),
    "tell": (WRONG | {"reverse_proxy_outside_check": "tell"}, "and the host serves 00."),
    "off": (WRONG | {"reverse_proxy_outside_check": "off"}, ""),
    "bare_off": (WRONG | {"reverse_proxy_outside_check": False}, ""),
    "loopback": ({"ansible_host": "127.0.0.1"}, ""),
    "plain": (BY_ADDRESS | {"reverse_proxy_tls": "off", "reverse_proxy_http_port": 448}, f"machine at {HOST}:448"),
    "router": (BY_ADDRESS | {"reverse_proxy_public_https_port": 2}, "lead it to the host's port 443?"),
    "name": (BY_ADDRESS | {"reverse_proxy_server_names": ["six.example.org"]}, f"machine at [{SIX}]:443"),
    "issuer": (BY_ADDRESS | {"reverse_proxy_tls": "acme"}, f"{HOST}:80 does not let this machine connect"),
}


def hosts_of_role(asked: Asked, *names: str) -> dict[str, dict[str, Any]]:
    return {name: {"served": fingerprint(asked.folder)} | OF_ROLE[name][0] for name in names}


@pytest.fixture(scope="module")
def of_role(asked: Asked) -> dict[str, dict[str, Any]]:
    # Not a fleet, whose hosts may answer for each other.
    played = asked.play("cases", ROLE, hosts_of_role(asked, *OF_ROLE), ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")
    return results_of(played, 1)


@pytest.mark.parametrize("name", OF_ROLE)
def test_the_role_asks_what_it_serves(of_role, name):
    result, words = of_role[name], OF_ROLE[name][1]
    assert result.get("failed", False) == (name in {"wrong", "router"}), result
    assert words in said(result)
    assert bool(words) != result.get("skipped", False)


def test_a_run_that_is_refused_says_it_in_its_last_lines(asked):
    played = asked.play("modelhost", ROLE, hosts_of_role(asked, "wrong"))
    assert played.returncode == 2
    shown = played.stdout.partition("s  FAILED: Ask it from this machine\n")[2].splitlines()
    assert shown[0].strip() == f"https://{HOST}/ does not lead to this host from here:"
    assert shown[1].strip().startswith(f"- another machine answers at {HOST}:443: its certificate has the SHA-256 ")
    assert "changed=0 " in played.stdout


def test_hosts_of_one_deployment_may_answer_for_each_other(asked):
    name = {"reverse_proxy_server_names": ["elsewhere.example.org"], "reverse_proxy_https_port": 444}
    two = {"one": BY_ADDRESS | name, "two": {"ansible_host": OTHER} | name}
    served = {"one": {"served": fingerprint(asked.folder)}, "two": {"served": fingerprint(asked.folder, "other")}}
    played = asked.play("modelhost", ROLE, {host: variables | served[host] for host, variables in two.items()})
    assert played.returncode == 0, played.stdout
    assert played.stdout.count(f"answers this machine at {OTHER}:444") == 2
    assert played.stdout.count("by the certificate of another one") == 1


def test_a_check_asks_nothing(asked):
    played = asked.play("modelhost", ROLE, hosts_of_role(asked, "wrong"), "--check")
    assert played.returncode == 0
    assert "Ask it from this machine" not in played.stdout
