"""What strangers find on a hardened host, what outlasts restarts, and what is taken back before it locks people out."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import vm
from deploying import NAME, TESTBED, changes, on_host, play, words

MACHINE = f"modelhost-{NAME}"
BOOTSTRAP = "molecule/hardening/converge.yml"
TABLE = "nft --stateless --terse list table inet modelhost 2>/dev/null || true"
# The machine's own programs on an empty root file system: an image that needs no registry.
DECOY_IMAGE = "tar --create --directory / bin lib lib64 | docker import - decoy"
RUN = "docker run --detach --restart unless-stopped --volume /usr:/usr:ro"
DECOY = f"{RUN} --name decoy --publish 8080:80 decoy"
# As nginx is started: on the machine's own network.
PROXY = f"{RUN} --name proxy --network host --user 10002:10002 decoy"


@pytest.fixture(scope="module", autouse=True)
def ufw_at_hand():
    """Fetched while names are resolved: a restart of nftables takes away the rules by which Docker does that here."""
    on_host("apt-get -qq install --download-only --no-install-recommends ufw >/dev/null")


def harden(*options: str, **variables: object) -> subprocess.CompletedProcess[str]:
    """Run the role again."""
    return play(BOOTSTRAP, "--tags", "host_hardening", *options, **variables)


def addresses() -> list[str]:
    """The machine's addresses on its network, IPv4 and IPv6, as an outsider would use them."""
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}"
    return vm.run("docker", "inspect", "--format", form, MACHINE).split()


def gateway() -> str:
    """This side's address on the machine's network."""
    form = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}"
    return vm.run("docker", "inspect", "--format", form, MACHINE).strip()


def is_open(address: str, port: int) -> bool:
    """Whether a connection is accepted."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        return probe.connect_ex((address, port)) == 0


def scan(address: str) -> set[int]:
    """Try to connect to every TCP port of an address; return those that accept."""
    return {port for port in range(1, 65536) if is_open(address, port)}


def lets_in(*options: str) -> bool:
    """Whether a new SSH connection gets in."""
    command = [
        "ssh",
        "-o",
        "ControlMaster=no",
        "-o",
        "ControlPath=none",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=3",
    ]
    command += [*options, "-F", str(TESTBED / ".ssh" / "config"), "-l", "deploy", NAME, "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def wait_until(holds, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def decoy() -> Iterator[str]:
    """A container whose port somebody has published, and something that answers on the proxy's port."""
    on_host(DECOY_IMAGE)
    on_host(f"{DECOY} /usr/bin/python3 -m http.server 80")
    on_host(f"{PROXY} /usr/bin/python3 -m http.server --bind :: 80")
    wait_until(lambda: asks("127.0.0.1", 8080) and asks("127.0.0.1", 80))
    yield "decoy"
    on_host("docker rm --force decoy proxy; docker image rm decoy")


def asks(address: str, port: int, by: str = "") -> bool:
    """Whether a program on the machine gets a connection there; by: what to run it with."""
    ask = f"import socket; socket.create_connection(('{address}', {port}), 2)"
    return "yes" in on_host(f'{by} /usr/bin/python3 -c "{ask}" 2>/dev/null && echo yes || true')


@pytest.mark.parametrize("address", addresses())
def test_nothing_is_open_but_ssh_and_the_proxy(address, decoy):
    assert scan(address) == {22, 80}


def test_without_the_firewall_the_decoy_would_be_open(decoy):
    address = addresses()[0]
    on_host("systemctl stop modelhost-firewall")
    try:
        wait_until(lambda: is_open(address, 8080))
    finally:
        on_host("systemctl start modelhost-firewall")
    assert not is_open(address, 8080)


def test_a_container_finds_its_way_out(decoy):
    with socket.create_server((gateway(), 0)) as server:
        port = server.getsockname()[1]
        assert asks(gateway(), port, by="docker exec decoy")


AS_NGINX = "setpriv --reuid 10002 --regid 10002 --clear-groups"
AS_ACME = "setpriv --reuid 10003 --regid 10002 --clear-groups"
# Where clouds have their metadata: most of them, Alibaba, Azure, and by IPv6 Google and Amazon.
METADATA = ["169.254.169.254", "100.100.100.200", "168.63.129.16", "fd20:ce::254", "fd00:ec2::254"]


def test_nginx_reaches_itself_and_no_other_service_of_the_machine(decoy):
    assert asks("127.0.0.1", 80, by=AS_NGINX)
    assert asks("127.0.0.1", 22)
    assert not asks("127.0.0.1", 22, by=AS_NGINX)
    assert not asks(addresses()[0], 22, by=AS_NGINX)


def test_nginx_reaches_no_container_and_no_other_machine(decoy):
    container = on_host("docker inspect --format '{{.NetworkSettings.IPAddress}}' decoy").strip()
    assert asks(container, 80)
    assert not asks(container, 80, by=AS_NGINX)
    with socket.create_server((gateway(), 0)) as server:
        port = server.getsockname()[1]
        assert asks(gateway(), port)
        assert not asks(gateway(), port, by=AS_NGINX)
    udp = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('203.0.113.1', 53))"
    sent = f'/usr/bin/python3 -c "{udp}" 2>/dev/null && echo sent || true'
    assert "sent" in on_host(sent)
    assert "sent" not in on_host(f"{AS_NGINX} {sent}")


@contextmanager
def answering(port: int) -> Iterator[None]:
    """A program of root's that listens on the machine, at all of its addresses."""
    on_host(f"systemd-run --quiet --unit answering /usr/bin/python3 -m http.server --bind :: {port}")
    try:
        wait_until(lambda: asks("127.0.0.1", port))
        yield
    finally:
        on_host("systemctl stop answering")


@pytest.mark.parametrize("address", METADATA)
def test_neither_nginx_nor_the_client_of_issuers_reaches_the_clouds_credentials(decoy, address):
    bits = 128 if ":" in address else 32
    on_host(f"ip address add {address}/{bits} dev lo")
    try:
        assert asks(address, 80)
        assert not asks(address, 80, by=AS_NGINX)
        assert not asks(address, 80, by=AS_ACME)
        with answering(443):
            assert asks(address, 443)
            assert not asks(address, 443, by=AS_ACME)
    finally:
        on_host(f"ip address del {address}/{bits} dev lo")


def test_the_client_of_issuers_reaches_port_443_and_names_alone(decoy):
    with answering(443):
        assert asks("127.0.0.1", 443, by=AS_ACME)
    with answering(53):
        assert asks("127.0.0.1", 53, by=AS_ACME)
    assert not asks("127.0.0.1", 22, by=AS_ACME)
    assert not asks("127.0.0.1", 80, by=AS_ACME)


UNTRACKED = """
table inet untracked {
    chain in { type filter hook prerouting priority raw; tcp dport 80 notrack; }
    chain out { type filter hook output priority raw; tcp sport 80 notrack; }
}
"""


def test_nginx_answers_clients_whom_the_kernel_does_not_know(decoy):
    """As in connections that are older than the firewall."""
    on_host(f"echo '{UNTRACKED}' | nft --file -")
    try:
        with socket.create_connection((addresses()[0], 80), 5) as client:
            client.settimeout(5)
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.recv(4) == b"HTTP"
    finally:
        on_host("nft delete table inet untracked")


# Opens connections to the proxy one after the other and holds them; prints how many were accepted.
HOLD = """
import socket
held = []
for _ in range(40):
    try:
        held.append(socket.create_connection(('{address}', 80), 3))
    except ConnectionRefusedError:
        pass
print(len(held))
"""


def holds(name: str, address: str) -> int:
    return int(vm.run("docker", "exec", name, "python3", "-c", HOLD.format(address=address)))


def test_one_address_has_no_more_connections_to_the_proxy_than_it_may(decoy):
    limit = {"host_hardening_firewall_connections_per_address": 20}
    before = rules()
    assert "ct count over 640" in before
    limited = harden(**limit)
    assert limited.returncode == 0, limited.stdout
    try:
        with neighbour() as name:
            for address in addresses():
                assert holds(name, address) == 20
                counted = on_host("nft list chain inet modelhost endpoint | grep 'ct count' | grep -v 'packets 0'")
                assert "packets 20" in counted
                # Those that have ended are not counted, and nobody else's are.
                wait_until(lambda to=address: holds(name, to) == 20)
            assert is_open(addresses()[0], 80)
            form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
            own = vm.run("docker", "inspect", "--format", form, name).strip()
            balancer = harden(**limit, reverse_proxy_trusted_proxies=[f"{own}/32"])
            assert balancer.returncode == 0, balancer.stdout
            assert holds(name, addresses()[0]) == 40
        # The machine itself is not limited.
        held = HOLD.format(address="127.0.0.1").replace("\n", "\\n").replace("'", '"')
        assert on_host(f"printf '{held}' | /usr/bin/python3 -").strip() == "40"
    finally:
        again = harden()
    assert again.returncode == 0, again.stdout
    assert rules() == before


def test_where_a_kernel_cannot_count_connections_the_rest_is_loaded_at_boot():
    before = rules()
    on_host("sed -i 's/ct count over [0-9]*/ct count over more/' /etc/modelhost/kept/firewall.nft")
    on_host("systemctl restart modelhost-firewall")
    assert "ct count" not in rules()
    assert [line for line in before.splitlines() if "ct count" not in line] == rules().splitlines()
    assert harden().returncode == 0
    assert rules() == before


def test_ssh_passes_the_policy_for_debian_13():
    policy = "Hardened Debian 13 (version 1)"
    audit = subprocess.run(
        ["ssh-audit", "--no-colors", "--skip-rate-test", "--policy", policy, addresses()[0]],
        capture_output=True,
        text=True,
    )
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert "Passed" in audit.stdout


def test_a_client_of_the_past_is_not_spoken_to():
    assert lets_in()
    assert not lets_in("-o", "KexAlgorithms=curve25519-sha256")
    assert lets_in("-o", "Ciphers=aes128-gcm@openssh.com")
    assert not lets_in("-o", "Ciphers=aes128-cbc")


def test_a_file_of_the_cloud_cannot_open_it_again(host):
    host.check_output("echo 'KexAlgorithms curve25519-sha256' > /etc/ssh/sshd_config.d/50-cloud-init.conf")
    try:
        assert "kexalgorithms mlkem768x25519-sha256,sntrup761x25519-sha512" in host.check_output("sshd -T")
    finally:
        host.check_output("rm /etc/ssh/sshd_config.d/50-cloud-init.conf")


@pytest.fixture
def sshd_files():
    """sshd's files, to be written to and put back."""
    on_host("rm -rf /root/ssh && cp -a /etc/ssh /root/ssh")
    yield "/etc/ssh/sshd_config.d"
    on_host("rm -rf /etc/ssh/sshd_config.d && cp -a /root/ssh/. /etc/ssh/ && systemctl reload ssh && sleep 1")


@pytest.mark.parametrize(
    ("setting", "keyword"),
    [
        ("AllowTcpForwarding yes", "AllowTcpForwarding"),
        ("AllowStreamLocalForwarding yes", "AllowStreamLocalForwarding"),
        ("Ciphers aes128-cbc,aes256-ctr", "Ciphers"),
        ("LogLevel ERROR", "LogLevel"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--check",)])
def test_a_file_that_sshd_reads_before_ours_is_refused_with_its_line(sshd_files, setting, keyword, options):
    on_host(f"echo '{setting}' > '{sshd_files}/00-!vendor.conf'")
    run = harden(*options)
    assert run.returncode != 0
    assert f"{keyword} is {setting.split()[1]} for root and deploy and modelhost-stranger" in words(run)
    assert f"{sshd_files}/00-!vendor.conf:1 ({setting})" in words(run)
    assert "set host_hardening_ssh to false" in words(run)
    assert lets_in()


def test_a_block_that_leads_connections_on_is_refused_with_its_line(sshd_files):
    on_host("printf 'Match User deploy\\nAllowTcpForwarding local\\n' >> /etc/ssh/sshd_config")
    run = harden()
    assert run.returncode != 0
    assert "AllowTcpForwarding is local for deploy, and has to be no: /etc/ssh/sshd_config:" in words(run)


def test_what_is_stricter_than_ours_stays(sshd_files):
    on_host(f"printf 'Ciphers aes256-ctr\\nLoginGraceTime 20\\n' > '{sshd_files}/00-!vendor.conf'")
    on_host("systemctl reload ssh")
    assert changes(harden().stdout) == 0


@contextmanager
def neighbour() -> Iterator[str]:
    """Another machine on the same network, with an address of its own."""
    image = vm.run("docker", "inspect", "--format", "{{.Config.Image}}", MACHINE).strip()
    name = f"{MACHINE}-neighbour"
    vm.run("docker", "run", "--detach", "--rm", "--name", name, "--network", MACHINE, image, "sleep", "300")
    try:
        yield name
    finally:
        vm.run("docker", "rm", "--force", name, check=False)


def test_whoever_guesses_accounts_is_banned():
    with neighbour() as name:
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        address = vm.run("docker", "inspect", "--format", form, name).strip()
        guess = f"ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o ConnectTimeout=3 oracle@{addresses()[0]}"
        for _ in range(6):
            subprocess.run(["docker", "exec", name, "sh", "-c", guess], capture_output=True, check=False)
        wait_until(lambda: address in on_host("fail2ban-client status sshd"))
        web = f"import socket; socket.create_connection(('{addresses()[0]}', 22), 2)"
        assert subprocess.run(
            ["docker", "exec", name, "python3", "-c", web], capture_output=True, check=False
        ).returncode
        on_host(f"fail2ban-client set sshd unbanip {address}")
    assert lets_in()


def test_whoever_knocks_without_end_waits_and_others_do_not():
    knock = f"""
import socket
n = 0
for _ in range(150):
    with socket.socket() as one:
        one.settimeout(0.05)
        n += one.connect_ex(("{addresses()[0]}", 22)) == 0
print(n)
"""
    with neighbour() as name:
        accepted = int(vm.run("docker", "exec", name, "python3", "-c", knock))
        assert 60 <= accepted <= 75
        assert lets_in()


def test_this_side_was_never_banned_nor_slowed():
    """All that has been done until here came from one address."""
    assert gateway() not in on_host("fail2ban-client status sshd")


def rules() -> str:
    return on_host(TABLE)


def test_the_firewall_survives_a_restart_of_the_engine_and_of_nftables(decoy):
    before = rules()
    for service in ("docker", "nftables"):
        on_host(f"systemctl restart {service}")
        wait_until(lambda: rules() == before)
    on_host("systemctl stop nftables && systemctl start nftables && systemctl restart docker")
    wait_until(lambda: asks("127.0.0.1", 8080))
    assert rules() == before
    assert not is_open(addresses()[0], 8080)


def test_who_empties_the_ruleset_by_hand_finds_the_firewall_there_again(decoy):
    before = rules()
    for command in ("nft delete table inet modelhost", "nft flush ruleset", "nft flush ruleset"):
        on_host(command)
        wait_until(lambda: rules() == before, seconds=10)
    on_host("systemctl restart docker")
    assert changes(harden().stdout) == 0


def test_a_run_finds_that_the_table_is_gone_and_that_nobody_watches():
    before = rules()
    on_host("systemctl stop modelhost-firewall-watch && nft delete table inet modelhost")
    assert changes(harden("--check").stdout) == 2
    assert rules() == ""
    assert changes(harden().stdout) == 2
    assert rules() == before
    assert on_host("systemctl is-active modelhost-firewall-watch").strip() == "active"


def test_whoever_takes_the_firewall_away_on_purpose_is_not_in_its_way():
    before = rules()
    on_host("systemctl stop modelhost-firewall && sleep 2")
    assert rules() == ""
    on_host("systemctl start modelhost-firewall && modelhost-guard remove firewall && sleep 2")
    assert rules() == ""
    assert harden().returncode == 0
    assert rules() == before


def test_a_ruleset_that_nft_refuses_is_not_applied():
    before = rules()
    on_host(
        "echo 'table inet modelhost { chain input { tcp dport ssh-and-more accept } }' > /etc/modelhost/firewall.nft"
    )
    assert "fails" in on_host("modelhost-guard try firewall 2>/dev/null || echo fails")
    assert rules() == before
    assert changes(harden().stdout) >= 1
    assert on_host("modelhost-guard check firewall && echo kept").strip() == "kept"


def test_rules_that_lock_this_side_out_are_taken_back_and_the_play_says_so():
    before = rules()
    run = harden(host_hardening_firewall_ssh_sources=["203.0.113.0/24"])
    assert run.returncode != 0
    assert "The new settings of firewall were taken back on hardening" in words(run)
    assert "no new connection got in" in words(run)
    assert rules() == before
    assert lets_in()
    # The wrong rules were written, and the next run with right ones is none the worse for it.
    again = harden()
    assert again.returncode == 0, again.stdout
    assert rules() == before


def test_a_run_that_dies_before_it_has_looked_locks_no_one_out():
    before = rules()
    on_host(
        "sed -i '/jump ssh/d' /etc/modelhost/firewall.nft && MODELHOST_GUARD_SECONDS=5 modelhost-guard try firewall"
    )
    assert not lets_in()
    wait_until(lets_in, seconds=20)
    assert rules() == before
    assert harden().returncode == 0
    assert rules() == before


def test_settings_of_sshd_that_lock_this_side_out_are_taken_back():
    """This side speaks the key exchange of yesterday alone, and ssh's own configuration does not say so."""
    off = harden(host_hardening_ssh=False)
    assert off.returncode == 0, off.stdout
    assert lets_in("-o", "KexAlgorithms=curve25519-sha256")
    old_client = {"ANSIBLE_SSH_ARGS": "-o KexAlgorithms=curve25519-sha256 -o ControlMaster=auto -o ControlPersist=60s"}
    run = play(BOOTSTRAP, "--tags", "host_hardening", environment=old_client)
    assert run.returncode != 0
    assert "The new settings of ssh were taken back" in words(run)
    assert lets_in("-o", "KexAlgorithms=curve25519-sha256")
    assert harden().returncode == 0
    assert not lets_in("-o", "KexAlgorithms=curve25519-sha256")


def test_what_someone_has_changed_by_hand_is_set_right_and_a_check_says_so_before():
    on_host("nft flush chain inet modelhost output; echo 1 > /proc/sys/net/ipv4/conf/all/send_redirects")
    on_host("systemctl stop fail2ban modelhost-prune.timer")
    on_host("touch --date '+1 minute' /etc/systemd/journald.conf.d/modelhost.conf")
    check = harden("--check", "--diff")
    assert changes(check.stdout) == 5, check.stdout
    assert changes(harden().stdout) == 5
    on_host("touch /etc/systemd/journald.conf.d/modelhost.conf && systemctl restart systemd-journald")
    assert changes(harden("--check", "--diff").stdout) == 0


def test_a_firewall_of_the_owner_is_left_to_decide():
    install = "apt-get -qq install -o DPkg::Lock::Timeout=60 --no-install-recommends ufw"
    said = on_host(f"DEBIAN_FRONTEND=noninteractive {install} 2>&1 || true")
    assert on_host("command -v ufw || true"), said
    on_host("ufw allow 22/tcp && ufw allow 5432/tcp && ufw --force enable")
    try:
        run = harden()
        assert run.returncode == 0, run.stdout
        assert "firewall: ufw is active and was left to decide" in words(run)
        assert rules() == ""
        assert "5432/tcp" in on_host("ufw status")
        assert changes(harden().stdout) == 0
        assert lets_in()
    finally:
        on_host("ufw --force disable")
    assert harden().returncode == 0
    assert "hook input" in rules()


def test_updates_are_of_security_alone_and_leave_the_engine(host):
    told = host.check_output("unattended-upgrade --dry-run --debug 2>&1")
    assert "label=Debian-Security" in told
    origins = next(line for line in told.splitlines() if line.startswith("Allowed origins are:"))
    assert origins.count("origin=Debian") == 1
    assert "docker" in host.check_output("apt-config dump Unattended-Upgrade::Package-Blacklist")
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        assert host.service(timer).is_enabled


def test_the_journal_is_kept_and_limited(host):
    assert host.file("/var/log/journal").is_directory
    assert "SystemMaxUse=500M" in host.check_output("systemd-analyze cat-config systemd/journald.conf")


def test_the_network_is_set_and_containers_are_forwarded(host):
    for name in ("all/accept_redirects", "eth0/send_redirects", "docker0/accept_source_route"):
        assert host.check_output(f"cat /proc/sys/net/ipv4/conf/{name}") == "0"
    assert host.check_output("cat /proc/sys/net/ipv4/ip_forward") == "1"


def test_in_a_container_the_kernel_is_left_to_its_host(host):
    assert "kernel." not in host.file("/etc/sysctl.d/90-modelhost-hardening.conf").content_string
    assert not host.file("/swapfile").exists


def test_whoever_logs_in_writes_no_core_dump_and_leads_no_connection_on(host):
    assert on_host("su - deploy -c 'ulimit -c'").strip() == "0"
    assert "Storage=none" in host.check_output("systemd-analyze cat-config systemd/coredump.conf")
    assert "DefaultLimitCORE=0" in host.check_output("systemd-analyze cat-config systemd/system.conf")
    effective = host.check_output("sshd -T").splitlines()
    assert {"allowtcpforwarding no", "allowagentforwarding no", "clientaliveinterval 60"} <= set(effective)


def test_rare_modules_are_kept_out_of_the_kernel(host):
    assert "install sctp /bin/false" in host.file("/etc/modprobe.d/modelhost.conf").content_string


def test_what_has_no_name_any_more_is_pruned_and_what_has_one_is_not(host):
    on_host(
        "tar --create --directory / bin | docker import - lost && tar --create --directory / lib | docker import - lost"
    )
    assert on_host("docker image ls --quiet --filter dangling=true").split()
    assert host.service("modelhost-prune.timer").is_enabled
    on_host("systemctl start modelhost-prune.service")
    assert not on_host("docker image ls --quiet --filter dangling=true").split()
    assert on_host("docker image ls --quiet lost").split()
    on_host("docker image rm lost")


def test_a_part_that_is_switched_off_is_taken_away():
    parts = ["fail2ban", "prune", "sysctl", "core_dumps", "modules"]
    off = harden(**{f"host_hardening_{part}": False for part in parts})
    assert off.returncode == 0, off.stdout
    left = on_host("ls /etc/fail2ban/jail.d /etc/systemd/system /etc/sysctl.d")
    folders = "/etc/modprobe.d /etc/security /etc/systemd/coredump.conf.d /etc/systemd/system.conf.d"
    assert on_host(f"find {folders} -name 'modelhost*'") == ""
    assert "modelhost.local" not in left
    assert "modelhost-prune" not in left
    assert "90-modelhost" not in left
    assert harden().returncode == 0


# The last, because the machine is another one afterwards.
def test_the_firewall_holds_from_a_boot_on(decoy):
    before = rules()
    vm.run("docker", "restart", MACHINE)
    wait_until(lambda: asks("127.0.0.1", 8080), seconds=60)
    assert rules() == before
    assert not is_open(addresses()[0], 8080)
    wait_until(lets_in)
    assert changes(harden().stdout) == 0
    loaded = on_host("systemctl show --value --property ActiveEnterTimestampMonotonic modelhost-firewall ssh")
    firewall, sshd = (int(number) for number in loaded.split())
    assert 0 < firewall < sshd


def test_destroy_takes_all_of_it_away():
    gone = play("playbooks/destroy.yml", confirm="destroy")
    assert gone.returncode == 0, gone.stdout
    assert rules() == ""
    left = on_host("find /etc /usr/local -name '*modelhost*'").split()
    # The account stays, with its own settings of sshd and sudo, and so does the engine.
    units = [f"/etc/systemd/system/{name}.service.d/modelhost.conf" for name in ("containerd", "docker")]
    account = ["/etc/ssh/sshd_config.d/00-0-modelhost.conf", "/etc/sudoers.d/modelhost"]
    assert sorted(left) == ["/etc/docker/modelhost.json", *account, *units]
    assert lets_in("-o", "KexAlgorithms=curve25519-sha256")
