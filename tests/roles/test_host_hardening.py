"""What a hardened host is to have, as the programs read it that it is for, and whom it must not lock out."""

import json

import pytest
from rendering import HOST, PROJECT, Read, evaluate, load, render

from plugins.lookup.ssh_algorithms import choose, offered

WANTED = {"KexAlgorithms": ["mlkem768x25519-sha256", "sntrup761x25519-sha512@openssh.com"]}
FIREWALL = "etc/modelhost/firewall.nft.j2"


@pytest.mark.parametrize(
    ("known", "offers", "chosen"),
    [
        # Only what the host knows, and in the order that is wanted.
        (["sntrup761x25519-sha512@openssh.com", "mlkem768x25519-sha256"], ["mlkem768x25519-sha256"], None),
        # A control machine that does not say what it offers is taken for a new one.
        (["sntrup761x25519-sha512@openssh.com", "mlkem768x25519-sha256"], [], None),
        # One that offers none of it keeps its own first choice that the host knows.
        (
            ["sntrup761x25519-sha512@openssh.com", "curve25519-sha256", "ecdh-sha2-nistp256"],
            ["curve25519-sha256@libssh.org", "curve25519-sha256", "ecdh-sha2-nistp256"],
            ["sntrup761x25519-sha512@openssh.com", "curve25519-sha256"],
        ),
        (["curve25519-sha256"], ["curve25519-sha256"], ["curve25519-sha256"]),
    ],
)
def test_what_the_control_machine_needs_stays_allowed(known, offers, chosen):
    expected = {"KexAlgorithms": chosen or WANTED["KexAlgorithms"]}
    assert choose(WANTED, {"KexAlgorithms": known}, {"kexalgorithms": offers}) == expected


def test_ssh_here_says_what_it_offers():
    offers = offered("203.0.113.10")
    assert {"kexalgorithms", "ciphers", "macs", "hostkeyalgorithms"} <= set(offers)
    assert "ssh-ed25519" in offers["hostkeyalgorithms"]


def test_sshd_reads_its_settings(read: Read):
    text = render("host_hardening", "etc/modelhost/ssh.conf.j2")
    checked = read(text, "ssh-keygen -qA; cat > /tmp/ssh.conf && /usr/sbin/sshd -T -f /tmp/ssh.conf")
    assert checked.returncode == 0, checked.stderr
    assert "kexalgorithms mlkem768x25519-sha256,sntrup761x25519-sha512@openssh.com" in checked.stdout.splitlines()


def test_every_port_of_sshd_stays_open():
    assert "tcp dport { 22, 2222 } jump ssh" in render("host_hardening", FIREWALL)


def test_sources_are_told_apart_by_their_version():
    rules = render(
        "host_hardening",
        FIREWALL,
        host_hardening_firewall_allowed_sources=["203.0.113.0/24", "2001:db8::/32"],
        host_hardening_firewall_open_ports=[{"port": 53, "protocol": "udp"}, {"port": 9100, "sources": ["10.0.0.0/8"]}],
        reverse_proxy_http_port="8080",
        reverse_proxy_https_port=8443,
    )
    assert "        ip saddr 203.0.113.0/24 tcp dport { 8080, 8443 } jump endpoint\n" in rules
    assert "        ip6 saddr 2001:db8::/32 tcp dport { 8080, 8443 } jump endpoint\n" in rules
    assert "        udp dport 53 accept\n" in rules
    assert "        ip saddr 10.0.0.0/8 tcp dport 9100 accept\n" in rules
    assert "\n        tcp dport { 8080, 8443 } jump endpoint\n" not in rules.split("chain ssh")[0]


COUNTED = "ct count over 640 } counter reject with tcp reset"


def test_connections_of_one_address_are_counted_and_those_of_balancers_are_not():
    rules = render(
        "host_hardening",
        FIREWALL,
        reverse_proxy_trusted_proxies=["10.0.0.2", "fd00:1::/64"],
        host_hardening_firewall_allowed_sources=["198.51.100.7", "203.0.113.0/24"],
    )
    endpoint = rules.split("chain endpoint {")[1].split("}\n\n")[0]
    assert endpoint.count(COUNTED) == 2
    exempt = [line.strip() for line in endpoint.split("tcp flags")[0].splitlines() if line.strip().endswith("accept")]
    assert exempt == ["ip saddr 10.0.0.2 accept", "ip6 saddr fd00:1::/64 accept", "ip saddr 198.51.100.7 accept"]


def test_the_limit_of_one_address_follows_nginxs_own():
    assert "ct count over 1128 }" in render("host_hardening", FIREWALL, reverse_proxy_address_connections="1000")
    assert "ct count" not in render("host_hardening", FIREWALL, reverse_proxy_address_connections=0)
    assert "ct count" not in render("host_hardening", FIREWALL, host_hardening_firewall_connections_per_address="0")


@pytest.mark.parametrize("told", [{"connlimit": "no"}, {"connlimit": ""}])
def test_where_the_kernel_cannot_count_connections_they_are_not(told):
    host = HOST["host_hardening_host"] | told
    rules = render("host_hardening", FIREWALL, host_hardening_host=host)
    assert "ct count" not in rules
    assert "jump endpoint" in rules


def test_the_client_of_an_issuer_reaches_the_issuers_port():
    assert "tcp dport { 443 } accept" in render("host_hardening", FIREWALL)
    own = render(
        "host_hardening", FIREWALL, reverse_proxy_acme_directory="https://ca.example.org:9000/acme/acme/directory"
    )
    assert "tcp dport { 443, 9000 } accept" in own


@pytest.mark.parametrize("directory", ["https://ca:port/", "", "https://[fd00::1]/directory"])
def test_an_issuer_without_a_port_leaves_the_usual_one(directory):
    assert "tcp dport { 443 } accept" in render("host_hardening", FIREWALL, reverse_proxy_acme_directory=directory)


@pytest.mark.parametrize(
    ("directory", "holds"),
    [
        ("https://acme-v02.api.letsencrypt.org/directory", True),
        ("https://[fd00::1]:9000/dir", True),
        ("https://ca.example.org", True),
        ("https://pebble:14000/dir", True),
        ("https://ca:port/", False),
        ("https://ca:99999/dir", False),
        ("https://ca:0/dir", False),
        ("https://[fd00::1/dir", False),
        ("http://ca/dir", False),
        ("", False),
    ],
)
def test_the_port_of_an_issuer_is_one(directory, holds):
    rules = load("reverse_proxy", "tasks/validate.yml")[0]["modelhost.modelhost.check_rules"]["rules"]
    (rule,) = [rule for rule in rules if rule["variable"] == "reverse_proxy_acme_directory"]
    assert evaluate("reverse_proxy", rule["holds"], reverse_proxy_acme_directory=directory) == str(holds)


def test_the_proxys_account_is_the_one_that_its_role_gives_it():
    ours = load("host_hardening", "vars/main.yml")["__host_hardening_proxy_uid"]
    assert ours == load("reverse_proxy", "vars/main.yml")["__reverse_proxy_uid"]
    acme = load("host_hardening", "vars/main.yml")["__host_hardening_acme_uid"]
    layout = (PROJECT / "roles/reverse_proxy/files/modelhost_certificate/layout.py").read_text()
    assert f"NGINX_GID, CLIENT_UID = {ours}, {acme}\n" in layout


def test_in_a_container_only_its_own_network_is_set():
    host = {"container": "yes"}
    lines = render(
        "host_hardening", "etc/sysctl.d/90-modelhost-hardening.conf.j2", host_hardening_host=host
    ).splitlines()
    names = [line.split(" =")[0] for line in lines if "=" in line]
    assert names
    assert all(name.startswith(("net.ipv4.", "net.ipv6.")) for name in names)


def test_a_module_that_is_in_use_may_be_loaded_again():
    lines = render("host_hardening", "etc/modprobe.d/modelhost.conf.j2").splitlines()
    assert "install sctp /bin/false" in lines
    assert not [line for line in lines if "usb-storage" in line]


def test_connections_of_ssh_lead_on_only_where_that_is_wanted():
    assert "AllowTcpForwarding no\n" in render("host_hardening", "etc/modelhost/ssh.conf.j2")
    wanted = render("host_hardening", "etc/modelhost/ssh.conf.j2", host_hardening_ssh_port_forwarding=True)
    assert "AllowTcpForwarding yes\n" in wanted


def test_a_part_that_was_switched_off_is_taken_away():
    host = {"there": "ssh sysctl prune", "other_firewall": "", "sshd": "yes"}
    unwanted = evaluate(
        "host_hardening", "{{ __host_hardening_unwanted }}", host_hardening_host=host, host_hardening_prune="false"
    )
    assert unwanted == "['prune']"


def test_a_machine_without_sshd_has_a_firewall_and_no_settings_of_sshd():
    """One that is deployed to by itself: a rule for no port would be no rule that nftables reads."""
    host = HOST["host_hardening_host"] | {"sshd": "no", "ssh_ports": ""}
    rules = render("host_hardening", "etc/modelhost/firewall.nft.j2", host_hardening_host=host)
    assert "jump ssh" not in rules
    assert "tcp dport { 80, 443 } accept" in rules
    assert evaluate("host_hardening", "{{ __host_hardening_parts.ssh }}", host_hardening_host=host) == "False"


@pytest.mark.parametrize("connection", ["ssh", "ansible.builtin.ssh", "local", "community.docker.docker"])
def test_sshd_is_set_only_by_who_comes_in_by_it(connection):
    """Anyone else could not see whether a new connection gets in."""
    by_ssh = evaluate("host_hardening", "{{ __host_hardening_by_ssh }}", ansible_connection=connection)
    assert by_ssh == str(connection.endswith("ssh"))


@pytest.mark.parametrize(
    ("told", "needs"),
    [
        ({"memory_mb": 1000, "swap_mb": 0, "disk_free_mb": 9000, "container": "no"}, True),
        ({"memory_mb": 2100, "swap_mb": 0, "disk_free_mb": 9000, "container": "no"}, False),
        ({"memory_mb": 1000, "swap_mb": 512, "disk_free_mb": 9000, "container": "no"}, False),
        ({"memory_mb": 1000, "swap_mb": 0, "disk_free_mb": 2500, "container": "no"}, False),
        ({"memory_mb": 1000, "swap_mb": 0, "disk_free_mb": 9000, "container": "yes"}, False),
    ],
)
def test_swap_is_for_small_machines_that_have_none_and_have_room(told, needs):
    assert evaluate("host_hardening", "{{ __host_hardening_needs_swap }}", host_hardening_host=told) == str(needs)


def test_a_network_is_one_that_nftables_reads_as_well():
    sources = [
        "203.0.113.7",
        "203.0.113.0/24",
        "2001:db8::/32",
        "203.0.113.0/255.255.255.0",
        "everyone",
        "203.0.113.0/33",
    ]
    known = evaluate("host_hardening", "{{ __host_hardening_networks }}", host_hardening_firewall_ssh_sources=sources)
    assert known == str(sources[:3])


@pytest.mark.parametrize(
    ("bridges", "more", "cut_off"),
    [
        ("docker0 br-0123456789ab", [], []),
        ("docker0 shop0", [], ["shop0"]),
        ("shop0 lan0", ["shop*"], ["lan0"]),
        ("", [], []),
    ],
)
def test_bridges_that_nothing_would_be_forwarded_from_are_found(bridges, more, cut_off):
    seen = HOST["docker_seen"] | {"bridges": bridges}
    names = {"docker_seen": seen, "host_hardening_firewall_forwarded_interfaces": ["docker*", "br-*", *more]}
    assert evaluate("host_hardening", "{{ __host_hardening_would_cut_off | to_json }}", **names) == json.dumps(cut_off)


@pytest.mark.parametrize(
    ("published", "opened", "closed"),
    [
        ("8080/tcp/shop 53/udp/dns", [], ["8080/tcp/shop", "53/udp/dns"]),
        ("8080/tcp/shop 53/udp/dns", [{"port": 8080}, {"port": 53, "protocol": "tcp"}], ["53/udp/dns"]),
        ("80/tcp/a 8080/tcp/b", [{"port": 80}], ["8080/tcp/b"]),
        ("", [], []),
    ],
)
def test_ports_that_the_firewall_would_close_are_found(published, opened, closed):
    seen = HOST["docker_seen"] | {"published": published}
    names = {"docker_seen": seen, "host_hardening_firewall_open_ports": opened}
    assert evaluate("host_hardening", "{{ __host_hardening_would_close | to_json }}", **names) == json.dumps(closed)
