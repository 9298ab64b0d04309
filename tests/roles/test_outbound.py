"""A proxy and an index inside: what is refused, what reaches whom, and that a password is shown to nobody."""

import base64
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.proxy_words import PROXY as PROXY_WORDS
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.proxy_words import proxy_words
from playing import Printed, play, tasks
from rendering import PROJECT, evaluate, load, render

PROXY = "http://packages:s3cret%40word@10.0.0.5:3128"
APT, ENVIRONMENT = "etc/apt/apt.conf.d/99modelhost-proxy.j2", "srv/modelhost/outbound.env.j2"
HIDDEN = "a value that is not shown"
FIREWALL = "etc/modelhost/firewall.nft.j2"


def refused(**variables: Any) -> list[str]:
    """The variables whose rules do not hold."""
    rules = load("outbound", "tasks/validate.yml")[0]["modelhost.modelhost.check_rules"]["rules"]
    return [rule["variable"] for rule in rules if evaluate("outbound", rule["holds"], **variables) != "True"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://proxy:3128",
        "http://proxy.example.org:8080",
        "http://10.0.0.5:3128",
        "http://[fd00::5]:3128",
        "http://user@proxy:3128",
        "http://user:p%40ss%3a!$&*w@proxy:3128",
        PROXY,
    ],
)
def test_a_proxy_is_a_url_of_http_with_a_port(url):
    assert refused(outbound_http_proxy=url) == []


@pytest.mark.parametrize(
    "url",
    [
        "proxy:3128",
        "proxy.example.org",
        "http://proxy",
        "http://proxy:3128/",
        "http://proxy:3128/path",
        "http://proxy:0",
        "http://proxy:65536",
        "https://proxy:3128",
        "socks://proxy:1080",
        "socks5h://proxy:1080",
        "http://user:p@ss@proxy:3128",
        "http://user:p'ss@proxy:3128",
        'http://user:p"ss@proxy:3128',
        "http://user:p ss@proxy:3128",
        "http://user:p%ss@proxy:3128",
        "http://proxy:3128\n",
        "http://proxy:3128 ",
        "http://-proxy:3128",
    ],
)
def test_what_is_no_such_url_is_refused(url):
    assert refused(outbound_http_proxy=url) == ["outbound_http_proxy"]
    assert refused(outbound_http_proxy="", outbound_https_proxy=url) == ["outbound_https_proxy"]


@pytest.mark.parametrize(
    "host", [".example.org", "*.example.org", "10.0.0.0/8", "mirror:80", "fd00::1", "", "a,b", "http://a"]
)
def test_an_exception_that_apt_does_not_know_is_refused(host):
    assert refused(outbound_http_proxy=PROXY, outbound_no_proxy=[host]) == ["outbound_no_proxy"]
    assert refused(outbound_http_proxy=PROXY, outbound_no_proxy=["mirror.example.org", "10.0.0.7"]) == []


def test_an_exception_to_no_proxy_is_refused():
    assert refused(outbound_no_proxy=["mirror"]) == ["outbound_no_proxy"]


@pytest.mark.parametrize(
    ("url", "holds"),
    [
        ("https://mirror.example.org/pypi/simple", True),
        ("http://user:t%40ken@10.0.0.7:8081/repository/pypi/simple/", True),
        ("mirror.example.org/simple", False),
        ("https://mirror.example.org/pypi simple", False),
        ("https://user:t@ken@mirror/simple", False),
        ("file:///srv/simple", False),
    ],
)
def test_an_index_is_a_url(url, holds):
    assert refused(outbound_python_index_url=url) == ([] if holds else ["outbound_python_index_url"])


CHECK = tasks(f"- ansible.builtin.include_role: {{name: {PROJECT}/roles/outbound, tasks_from: validate.yml}}")
SPECIFICATION = tasks(f"- modelhost.modelhost.check_variables: {{roles: ['{PROJECT}/roles/outbound']}}")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"outbound_http_proxy": "proxy:3128"}, ['outbound_http_proxy: got "proxy:3128"', "begins with http://"]),
        ({"outbound_http_proxy": "socks://u:s3cret@proxy:1080"}, ["outbound_http_proxy: got " + HIDDEN]),
        ({"outbound_http_proxy": "http://u:s3cret@proxy:1/x"}, ["ends there, without a path or a slash"]),
        ({"outbound_python_index_url": "ftp://u:s3cret@a/b"}, ["outbound_python_index_url: got " + HIDDEN]),
        # The @ was written in percent-encoding too, or forgotten, or a token is in the path.
        ({"outbound_http_proxy": "http://user:s3cret%40proxy:3128"}, ["outbound_http_proxy: got " + HIDDEN]),
        ({"outbound_http_proxy": "user:s3cret"}, ["outbound_http_proxy: got " + HIDDEN]),
        (
            {"outbound_http_proxy": "", "outbound_https_proxy": "http://u:s3cret%40proxy:1"},
            ["_https_proxy: got " + HIDDEN],
        ),
        (
            {"outbound_python_index_url": "index.example.org/s3cret/simple"},
            ["outbound_python_index_url: got " + HIDDEN],
        ),
        ({"outbound_http_proxy": "HTTP://proxy:3128/"}, ['outbound_http_proxy: got "HTTP://proxy:3128/"']),
    ],
)
def test_a_refusal_says_what_to_write_and_no_password(tmp_path, variables, said):
    printed = play(tmp_path, CHECK, "-e", json.dumps(variables), "-vvv")
    assert printed.code != 0
    for words in said:
        assert words in printed.out
    assert "for example: " in printed.out
    assert "s3cret" not in printed.out + printed.err


def test_neither_does_one_of_a_list(tmp_path):
    printed = play(tmp_path, CHECK, "-e", json.dumps({"outbound_http_proxy": ["http://u:s3cret@proxy:3128"]}))
    assert printed.code != 0
    assert "outbound_http_proxy: got a value that is not shown" in printed.out
    assert "s3cret" not in printed.out + printed.err


@pytest.mark.parametrize(
    "variables",
    [
        {"outbound_htp_proxy": "http://u:s3cret@proxy:3128"},
        {"outbound_pyhton_index_url": "http://u:s3cret@mirror/simple"},
        {"outbound_proxy": "u:s3cret"},
        {"outbound_htp_proxy": "http://u:s3cret%40proxy:3128"},
    ],
)
def test_neither_does_one_of_a_wrong_name(tmp_path, variables):
    printed = play(tmp_path, SPECIFICATION, "-e", json.dumps(variables))
    assert printed.code != 0
    assert f"{next(iter(variables))}: got a value that is not shown" in printed.out
    assert "s3cret" not in printed.out + printed.err


@pytest.mark.parametrize("url", ["http://u:s3cret@proxy:3128", "https://s3cret@registry/x", "http://u:s3cret%40proxy"])
@pytest.mark.parametrize(
    "name", ["outbound_no_proxy", "base_image_mirror", "base_image_reference", "app_image_build_ca_file"]
)
def test_a_url_with_a_password_is_shown_for_no_variable(tmp_path, name, url):
    role = name.partition("_no_")[0] if name.startswith("out") else "_".join(name.split("_")[:2])
    checks = f"""
        - modelhost.modelhost.check_variables: {{roles: [{PROJECT}/roles/{role}]}}
        - ansible.builtin.include_role: {{name: {PROJECT}/roles/{role}, tasks_from: validate.yml}}
    """
    printed = play(tmp_path, tasks(checks), "-e", json.dumps({name: url}))
    assert printed.code != 0
    assert f"{name}: got a value that is not shown" in printed.out
    assert "s3cret" not in printed.out + printed.err


def test_a_list_given_as_text_is_refused(tmp_path):
    printed = play(tmp_path, SPECIFICATION, "-e", "outbound_no_proxy=a,b")
    assert 'outbound_no_proxy: got "a,b", but it must be a list of texts; -e gives that as JSON' in printed.out


def test_apt_reads_what_is_written_for_it(read):
    text = render("outbound", APT, outbound_http_proxy=PROXY, outbound_no_proxy=["mirror.example.org", "10.0.0.7"])
    found = read(text, "cat > /tmp/proxy && apt-config --config-file /tmp/proxy dump | grep -i proxy").stdout
    assert f'Acquire::http::Proxy "{PROXY}";' in found
    assert f'Acquire::https::Proxy "{PROXY}";' in found
    for host in ("mirror.example.org", "10.0.0.7", "localhost"):
        assert f'Acquire::http::Proxy::{host} "DIRECT";' in found


def environment(**variables: Any) -> dict[str, str]:
    """What a shell makes of the file for builds."""
    text = render("outbound", ENVIRONMENT, **variables)
    names = "http_proxy https_proxy no_proxy PIP_INDEX_URL PIP_TRUSTED_HOST"
    script = f"{text}\nfor name in {names}; do eval value=\\$$name; printf '%s=%s\\n' $name \"$value\"; done"
    printed = subprocess.check_output(["/bin/sh", "-ec", script], text=True, env={})
    return dict(line.split("=", 1) for line in printed.splitlines())


def test_a_shell_reads_what_is_written_for_builds():
    odd = "http://user:a%20b!$HOME&(c)*;~,=+@proxy:3128"
    assert environment(outbound_http_proxy=odd, outbound_no_proxy=["mirror"]) == {
        "http_proxy": odd, "https_proxy": odd, "no_proxy": "localhost,127.0.0.1,mirror",
        "PIP_INDEX_URL": "", "PIP_TRUSTED_HOST": "",
    }  # fmt: skip
    index = "http://u:p@10.0.0.7:8081/simple"
    assert environment(outbound_python_index_url=index) == {
        "http_proxy": "", "https_proxy": "", "no_proxy": "",
        "PIP_INDEX_URL": index, "PIP_TRUSTED_HOST": "10.0.0.7",
    }  # fmt: skip


def test_the_client_of_an_issuer_has_its_part_of_the_same_file(tmp_path, monkeypatch):
    from modelhost_certificate import issuer

    file = tmp_path / "outbound.env"
    monkeypatch.setattr(issuer, "OUTBOUND", file)
    assert issuer.outbound() == ""
    odd = "http://user:a%20b!$HOME&(c)*;~,=+@proxy:3128"
    file.write_text(render("outbound", ENVIRONMENT, outbound_http_proxy=odd, outbound_python_index_url="http://a/b"))
    assert issuer.outbound() == f"http_proxy='{odd}'\nhttps_proxy='{odd}'\nno_proxy=localhost,127.0.0.1\n"


def test_what_other_roles_read_is_where_it_is_written():
    ours = load("outbound", "vars/main.yml")
    assert load("app_image", "vars/main.yml")["__app_image_ways_out"] == {
        "apt": ours["__outbound_apt_file"],
        "outbound": ours["__outbound_environment_file"],
    }
    assert load("reverse_proxy", "vars/main.yml")["__reverse_proxy_apt_file"] == ours["__outbound_apt_file"]
    assert ours["__outbound_environment_file"] in load("base_image", "vars/main.yml")["__base_image_bootstrap"]
    layout = (PROJECT / "roles/reverse_proxy/files/modelhost_certificate/layout.py").read_text()
    assert f'OUTBOUND = Path("{ours["__outbound_environment_file"]}")' in layout


def acme(**variables: Any) -> list[str]:
    """The rules for the client of an issuer."""
    text = render("host_hardening", FIREWALL, **variables)
    return [
        line.strip() for line in text.partition("chain acme {")[2].partition("}\n\n")[0].splitlines() if line.strip()
    ]


def test_the_client_of_an_issuer_may_go_to_the_proxy():
    before = acme()
    assert [line for line in acme(outbound_http_proxy=PROXY) if line not in before] == [
        "ip daddr 10.0.0.5 tcp dport 3128 accept"
    ]
    assert [line for line in acme(outbound_https_proxy="http://[fd00::5]:8080") if line not in before] == [
        "ip6 daddr fd00::5 tcp dport 8080 accept"
    ]
    named = acme(outbound_http_proxy="http://user:p%3Aw@proxy.example.org:3128")
    assert [line for line in named if line not in before] == ["tcp dport 3128 accept"]
    metadata = next(number for number, line in enumerate(named) if "169.254" in line)
    assert named.index("tcp dport 3128 accept") > metadata, "a name may lead to where clouds hand out credentials"


@pytest.mark.parametrize("proxy", [PROXY, "http://proxy.example.org:3128", "http://[fd00::5]:8080"])
def test_nft_reads_these_rules(read, proxy):
    text = render("host_hardening", FIREWALL, outbound_http_proxy=proxy)
    # The container has no right to look at its kernel's rules; it reads all of them first.
    checked = read(text, "cat > /tmp/rules && nft --check --file /tmp/rules")
    assert "syntax error" not in checked.stderr, checked.stderr


class Asked(BaseHTTPRequestHandler):
    """A proxy that wants a user and a password, and then fails, since what it is asked for is not there."""

    wanted = "Basic " + base64.b64encode(b"packages:s3cret@word").decode()

    def do_GET(self) -> None:
        given = self.headers.get("Proxy-Authorization")
        self.send_error({None: 407, self.wanted: 502}.get(given, 401))

    def log_message(self, *_: object) -> None:
        """Nothing."""


class AskedOfPorts(Asked):
    """One that looks first at what it is asked for, as Squid does by its usual rules, and lets nobody to one mirror."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path if "//" in self.path else f"//{self.path}")
        safe = parts.port in {None, 80, 443} and parts.hostname not in {"127.0.0.1", "forbidden.invalid"}
        given = self.headers.get("Proxy-Authorization")
        self.send_error(403 if not safe else 503 if given == self.wanted else 407)

    do_CONNECT = do_GET  # noqa: N815 - http.server's name


@contextmanager
def proxy_of(kind: type[Asked]) -> Iterator[int]:
    """A proxy on a port of the loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxy() -> Iterator[int]:
    with proxy_of(Asked) as port:
        yield port


@pytest.fixture
def usual_proxy() -> Iterator[int]:
    with proxy_of(AskedOfPorts) as port:
        yield port


REACH = tasks(f"- ansible.builtin.include_role: {{name: {PROJECT}/roles/outbound, tasks_from: check_reach.yml}}")


def reach(tmp_path: Any, url: str, sources: str = "http://mirror.invalid/debian", **variables: Any) -> Printed:
    """Ask a proxy from a host whose apt has these sources."""
    (tmp_path / "sources.list").write_text("".join(f"deb {source} trixie main\n" for source in sources.split()))
    setting = f'Dir::Etc::SourceList "{tmp_path}/sources.list";\nDir::Etc::SourceParts "-";\n'
    (tmp_path / "apt.conf").write_text(setting)
    given = {"outbound_http_proxy": url} | variables
    return play(tmp_path, REACH, "-e", json.dumps(given), "-vvv", APT_CONFIG=str(tmp_path / "apt.conf"))


DOWN = "http://127.0.0.1:9"
SERVES = {"preflight_host": {"engine": "yes"}}


def given(tmp_path: Any, url: str) -> dict[str, Any]:
    """A host that has this way out already."""
    file = tmp_path / "outbound.env"
    file.write_text(render("outbound", ENVIRONMENT, outbound_http_proxy=url, ansible_managed="Ansible managed"))
    return {"__outbound_environment_file": str(file), "ansible_managed": "Ansible managed"}


@pytest.mark.parametrize(
    ("variables", "has", "refused"),
    [
        (SERVES, DOWN, False),
        ({"preflight_host": {"engine": "no"}}, DOWN, True),
        (SERVES | {"docker_choice": {"missing": ["docker-buildx"]}}, DOWN, True),
        # Another one than the host has.
        (SERVES, PROXY, True),
        # By the word of a playbook: an upgrade, a plan.
        (SERVES | {"__preflight_fetches": True}, DOWN, True),
        ({"__preflight_fetches": False}, PROXY, False),
    ],
)
def test_a_proxy_that_is_down_is_refused_where_it_is_needed_and_said_elsewhere(tmp_path, variables, has, refused):
    printed = reach(tmp_path, DOWN, **variables, **given(tmp_path, has))
    assert bool(printed.code) is refused, printed.out
    assert "cannot be reached from this host (Connection refused)" in " ".join(printed.out.split())


WRITTEN = tasks(f"- ansible.builtin.include_role: {{name: {PROJECT}/roles/outbound, tasks_from: see_written.yml}}")


@pytest.mark.parametrize(
    ("has", "wanted", "refused"),
    [
        (DOWN, {"outbound_http_proxy": DOWN}, False),
        (DOWN, {"outbound_http_proxy": PROXY}, True),
        (DOWN, {"outbound_http_proxy": DOWN, "outbound_python_index_url": "https://mirror.example.org/simple"}, True),
        (DOWN, {}, True),
        (None, {"outbound_http_proxy": DOWN}, True),
        (None, {}, False),
    ],
)
def test_nothing_is_fetched_by_another_way_than_the_inventorys(tmp_path, has, wanted, refused):
    there = given(tmp_path, has) if has else {"__outbound_environment_file": str(tmp_path / "none")}
    printed = play(tmp_path, WRITTEN, "-e", json.dumps(wanted | there))
    assert bool(printed.code) is refused, printed.out
    assert ("Run site.yml first" in " ".join(printed.out.split())) is refused


def test_playbooks_that_do_not_write_the_way_out_look_at_it_before_they_fetch():
    """An upgrade, and an image for the registry."""
    for playbook in ("upgrade", "image"):
        text = (PROJECT / "playbooks" / f"{playbook}.yml").read_text()
        first = min(
            text.index(fetches) for fetches in ("release\n", "ansible.builtin.apt:", "base_image\n") if fetches in text
        )
        assert text.index("see_written.yml") < first


@pytest.mark.parametrize(
    ("role", "file", "variables"),
    [
        ("app_image", "build.yml", {}),
        ("base_image", "main.yml", {"__base_image_missing": True}),
        ("host_hardening", "install.yml", {"__host_hardening_missing": ["nftables"]}),
        ("reverse_proxy", "build.yml", {"reverse_proxy_image_found": {"rc": 1}}),
        (
            "reverse_proxy",
            "build.yml",
            {"reverse_proxy_image_found": {"rc": 0}, "reverse_proxy_acme_image_found": {"rc": 1}},
        ),
    ],
)
def test_what_fetches_refuses_a_proxy_that_is_down_first(role, file, variables):
    found = load(role, f"tasks/{file}")
    (need,) = [task for task in found if "Refuse a proxy that does not answer" in task["name"]]
    assert need["ansible.builtin.include_role"] == {"name": "modelhost.modelhost.outbound", "tasks_from": "need.yml"}
    fetches = [task for task in found if re.search("Begin to|Pull the|Install", task["name"])]
    assert fetches
    assert all(found.index(need) < found.index(task) for task in fetches)
    for reached, holds in (({"problem": "down"}, "True"), ({}, "False")):
        assert evaluate(role, f"{{{{ {need['when']} }}}}", outbound_reach=reached, **variables) == holds


def test_it_is_said_what_was_not_fetched(tmp_path):
    need = f"- ansible.builtin.include_role: {{name: {PROJECT}/roles/outbound, tasks_from: need.yml}}"
    printed = play(tmp_path, tasks(need), "-e", json.dumps({"outbound_reach": {"problem": "the proxy is down"}}))
    assert printed.code != 0
    assert "the proxy is down. Nothing was fetched" in printed.out


# As Go (the engine, its builds, the client of issuers), apt and pip say it; and what registries say of themselves.
OF_A_PROXY = [
    'Get "https://registry-1.docker.io/v2/": proxyconnect tcp: dial tcp 10.0.0.5:3128: connect: connection refused',
    'Error response from daemon: Get "https://registry-1.docker.io/v2/": Proxy Authentication Required',
    'Error response from daemon: Get "https://registry.invalid/v2/": Unauthorized',
    'Error response from daemon: Get "https://registry.invalid/v2/": Forbidden',
    'Error response from daemon: Get "https://registry.invalid/v2/": Service Unavailable',
    "E: Failed to fetch https://mirror.invalid/x  Reading from proxy failed - read (115: Operation now in progress)",
    "E: Failed to fetch http://mirror.invalid/x/InRelease  407  Proxy Authentication Required [IP: 10.0.0.5 3128]",
    "E: Failed to fetch https://mirror.invalid/x  Invalid response from proxy: HTTP/1.1 407 Proxy",
    "Retrying after connection broken by 'ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed'))'",
]
OF_NO_PROXY = [
    'Error response from daemon: Head "https://r/v2/x/manifests/1": unauthorized: incorrect username or password',
    'Error response from daemon: Get "https://registry.invalid/v2/": dial tcp: lookup registry.invalid: no such host',
    "denied: requested access to the resource is denied",
    "received unexpected HTTP status: 503 Service Unavailable",
]


@pytest.mark.parametrize("said", [*OF_A_PROXY, *OF_NO_PROXY])
def test_what_is_said_of_a_proxy_names_its_variables(tmp_path, said):
    fails = tasks(f"- ansible.builtin.command: {{argv: [sh, -c, 'echo \"$0\" >&2; exit 1', {json.dumps(said)}]}}")
    printed = play(tmp_path, fails)
    assert printed.code != 0
    assert said in printed.out
    assert ("see outbound_http_proxy" in printed.out) is (said in OF_A_PROXY)
    assert ("outbound_no_proxy" in printed.out) is (said in OF_A_PROXY)


def test_all_know_a_proxy_by_the_same_words():
    from modelhost_certificate import issuer

    assert issuer.PROXY == PROXY_WORDS


def test_what_names_the_variables_already_says_so_once():
    assert proxy_words(f"{OF_A_PROXY[0]}: outbound_http_proxy names it") == []


@pytest.mark.parametrize("said", [*OF_A_PROXY, *OF_NO_PROXY])
def test_the_client_of_an_issuer_says_so_too(said):
    from modelhost_certificate import issuer

    settings = {"names": ["a.example"], "issuer": {"directory": "https://issuer.example/dir"}}
    words = issuer.explain(settings, f"2026/01/01 00:00:00 Could not create client: get directory: {said}")
    assert ("Is the proxy of outbound_https_proxy there" in words) is (said in OF_A_PROXY)
    assert issuer.unreachable(said) is (said in OF_A_PROXY)


def test_a_proxy_that_takes_user_and_password_is_well(tmp_path, proxy):
    printed = reach(tmp_path, f"http://packages:s3cret%40word@127.0.0.1:{proxy}")
    assert printed.code == 0, printed.out
    assert "s3cret" not in printed.out + printed.err


@pytest.mark.parametrize(
    ("credentials", "said"),
    [
        ("packages:wr0ng@", "(outbound_http_proxy) refuses its user or password (401)"),
        ("", "wants a user and a password (407)"),
    ],
)
def test_a_proxy_that_refuses_is_said_to(tmp_path, proxy, credentials, said):
    printed = reach(tmp_path, f"http://{credentials}127.0.0.1:{proxy}")
    assert printed.code != 0
    assert f"one: the proxy 127.0.0.1:{proxy}" in printed.out
    assert said in printed.out
    assert "Edit what -e gives on the command line" in printed.out
    assert "wr0ng" not in printed.out + printed.err


TAKEN, WRONG = "packages:s3cret%40word@", "packages:wr0ng@"
FORBIDDEN = "http://forbidden.invalid/debian"


@pytest.mark.parametrize(
    ("credentials", "sources", "said"),
    [
        (WRONG, "http://mirror.invalid/debian", "refuses its user or password (407)"),
        (WRONG, "https://mirror.invalid/debian", "refuses its user or password (407)"),
        ("", "http://mirror.invalid/debian", "wants a user and a password (407)"),
        # One that is not let through says nothing of the others.
        (WRONG, f"{FORBIDDEN} http://mirror.invalid/debian", "refuses its user or password (407)"),
        (TAKEN, f"{FORBIDDEN} http://mirror.invalid/debian", ""),
        (TAKEN, "https://mirror.invalid/debian", ""),
        # Neither is one of apt's.
        (WRONG, "", "refuses its user or password (407)"),
        (WRONG, "http://user:own@mirror.invalid/debian", "refuses its user or password (407)"),
        (TAKEN, "", ""),
        (WRONG, FORBIDDEN, "nothing that its apt asks for: forbidden.invalid (403). Whether it takes its user and"),
        ("", FORBIDDEN, "Whether it takes who names no user is not known"),
    ],
)
def test_a_proxy_that_looks_at_ports_first_is_asked_for_what_apt_asks_for(
    tmp_path, usual_proxy, credentials, sources, said
):
    printed = reach(tmp_path, f"http://{credentials}127.0.0.1:{usual_proxy}", sources)
    assert bool(printed.code) is bool(said), printed.out
    assert said in printed.out
    assert "s3cret" not in printed.out + printed.err
    assert "wr0ng" not in printed.out + printed.err


def test_of_a_proxy_that_refuses_what_apt_does_not_ask_for_it_is_said_what_is_known(tmp_path):
    class Closed(AskedOfPorts):
        def do_GET(self) -> None:
            self.send_error(403)

    excepted = {"outbound_no_proxy": ["mirror.invalid"]}
    with proxy_of(Closed) as port:
        printed = reach(tmp_path, f"http://{WRONG}127.0.0.1:{port}", **excepted)
    assert printed.code == 0, printed.out
    words = "is there. Whether it takes its user and password is not known: example.org (403)"
    assert f"one: the proxy 127.0.0.1:{port} (outbound_http_proxy) {words}" in " ".join(printed.out.split())


def test_a_mirror_that_wants_a_password_is_not_taken_for_the_proxy(tmp_path):
    class OfAMirror(AskedOfPorts):
        def do_GET(self) -> None:
            self.send_error(403 if "127.0.0.1" in self.path else 401)

    with proxy_of(OfAMirror) as port:
        assert reach(tmp_path, f"http://{TAKEN}127.0.0.1:{port}").code == 0


def test_a_proxy_for_https_alone_is_asked_to_connect(tmp_path, usual_proxy):
    proxies = {"outbound_https_proxy": f"http://{WRONG}127.0.0.1:{usual_proxy}"}
    printed = reach(tmp_path, "", **proxies)
    assert "(outbound_https_proxy) refuses its user or password (407)" in printed.out


SQUID = """\
auth_param basic program /usr/lib/squid/basic_ncsa_auth /etc/squid/passwords
acl team proxy_auth REQUIRED
http_access allow team
"""
START_SQUID = """\
perl -e 'print "packages:", crypt("s3cret\\@word", q($5$salt)), "\\n"' >/etc/squid/passwords
printf %s "$SETTINGS" >/etc/squid/conf.d/team.conf
exec squid --foreground -N
"""


@pytest.fixture
def squid(readers: str) -> Iterator[str]:
    """Debian's Squid, with its own rules and a user."""
    start = ["docker", "run", "--detach", "--rm", "--env", f"SETTINGS={SQUID}", readers, "sh", "-c", START_SQUID]
    container = subprocess.check_output(start, text=True).strip()
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    address = subprocess.check_output(["docker", "inspect", "--format", form, container], text=True).strip()
    try:
        for _ in range(100):
            with suppress(OSError), socket.create_connection((address, 3128), 1):
                break
            time.sleep(0.1)
        yield address
    finally:
        subprocess.run(["docker", "rm", "--force", container], check=True, capture_output=True)


def test_squid_with_its_usual_rules_is_seen_to_refuse_a_password(tmp_path, squid):
    # Its own port 80, which nobody listens at: no name is looked up.
    mirror = f"http://{squid}/debian"
    wrong = reach(tmp_path, f"http://{WRONG}{squid}:3128", mirror)
    assert "refuses its user or password (407)" in wrong.out
    assert "wants a user and a password (407)" in reach(tmp_path, f"http://{squid}:3128", mirror).out
    right = reach(tmp_path, f"http://{TAKEN}{squid}:3128", mirror)
    assert right.code == 0, right.out
    assert "not known" not in right.out


def test_a_proxy_that_is_not_there_or_is_none_is_said_to_be(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def greet() -> None:
            with server.accept()[0] as connection:
                connection.sendall(b"SSH-2.0-x\r\n")
                connection.recv(1000)

        threading.Thread(target=greet, daemon=True).start()
        printed = reach(tmp_path, f"http://127.0.0.1:{port}")
        assert "does not answer as an HTTP proxy does" in printed.out
    printed = reach(tmp_path, f"http://127.0.0.1:{port}")
    assert (
        f"the proxy 127.0.0.1:{port} (outbound_http_proxy) cannot be reached from this host (Connection refused)"
        in printed.out
    )
    assert "Name or service not known" in reach(tmp_path, "http://nowhere.invalid:3128").out


def test_what_is_left_by_whoever_was_killed_goes_where_the_proxy_goes(tmp_path):
    """By the names that mktemp, Ansible and modelhost-certificate give what they have not finished."""
    names = [
        "etc/apt/apt.conf.d/.99modelhost-proxy.a1B2c3",
        "etc/docker/.ansible_tmpx1y2modelhost.json",
        "etc/docker/.daemon.json.a1B2c3",
        "etc/docker/.modelhost.json.a1B2c3",
        "srv/modelhost/.outbound.env.a1B2c3",
        "srv/modelhost/proxy/acme/request/.outbound.env.unfinished",
    ]
    for name in [*names, "etc/docker/daemon.json", "etc/docker/.other.json.a1B2c3"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("s3cret")
    removal = load("outbound", "tasks/remove.yml")[0]["vars"]["__outbound_unwanted"].strip("{} ")
    look = load("outbound", "tasks/take_away.yml")[0]["ansible.builtin.raw"]
    for unwanted in ("__outbound_unwanted", removal):
        patterns = evaluate("outbound", f"{{{{ ({unwanted}) | join(' ') }}}}").split()
        command = evaluate("outbound", look, __outbound_unwanted=[f"{tmp_path}{pattern}" for pattern in patterns])
        listed = subprocess.check_output(["/bin/sh", "-c", command], text=True)
        assert sorted(listed.split()) == sorted(str(tmp_path / name) for name in names)
    kept = evaluate("outbound", "{{ __outbound_unwanted | join(' ') }}", outbound_http_proxy=PROXY)
    assert kept.strip() == ""
