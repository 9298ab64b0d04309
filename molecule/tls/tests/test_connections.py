"""What may be spoken with nginx, by whom, and where plain HTTP leads."""

import json
import subprocess
from collections.abc import Callable

import client
import proxied
import pytest

Machine = Callable[[str], str]
# So that what is refused is refused by nginx and not by the client.
ANY = "-cipher ALL:@SECLEVEL=0"


@pytest.fixture
def connect(machine: Machine) -> Callable[[str], str]:
    """Let OpenSSL 3.5 connect from the machine's own address; returns what it says."""

    def run(options: str) -> str:
        # A moment, in which a ticket arrives.
        asked = f"openssl s_client -connect {proxied.address()}:443 {options} 2>&1"
        return machine(f"sleep 0.5 | {asked} || true")

    return run


def curl(*options: str) -> str:
    return subprocess.run(["curl", "-sk", *options], capture_output=True, text=True, check=False).stdout


def test_plain_http_leads_to_https_and_a_post_stays_a_post():
    answer = proxied.ask("/models/iris/predict?x=1", b"{}")
    assert answer.status == 308
    assert answer.headers["location"] == f"https://{proxied.address()}/models/iris/predict?x=1"
    followed = curl("-L", "-d", '{"a": 1}', f"http://{proxied.address()}/models/iris/predict")
    told = json.loads(followed)
    assert (told["path"], told["bytes"]) == ("/models/iris/predict", 8)


def test_a_request_that_names_no_host_is_led_to_one():
    url = f"http://{proxied.address()}/"
    assert "Location: https://127.0.0.1/" in curl("-i", "-0", "-H", "Host:", url)


@pytest.mark.parametrize(
    "sent",
    [
        {"Host": "127.0.0.1"},
        {"Host": "localhost"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Proto": "https"},
        {"X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1;proto=https"},
        {"Host": "[::1]"},
    ],
)
def test_nothing_that_a_client_sends_opens_the_door_of_the_machine_itself(sent):
    assert proxied.ask(sent=sent).status == 308
    assert proxied.ask("/nginx-healthz", sent=sent).status == 308
    assert proxied.ask("/.errors/403", sent=sent).status == 404


@pytest.mark.parametrize("local", ["127.0.0.1", "[::1]"])
def test_the_machine_itself_is_served_over_plain_http(machine: Machine, local):
    told = json.loads(machine(f"curl -s http://{local}/readyz"))
    assert told["path"] == "/readyz"
    assert told["headers"]["x-forwarded-proto"] == "http"


def test_a_connection_from_elsewhere_that_gets_to_the_machines_own_address_is_refused(machine: Machine):
    """As a rule of a firewall may lead one there: its address is the machine's own, the client's is not."""
    answer = machine(f"curl -si --interface {proxied.address()} http://127.0.0.1/readyz")
    assert "403" in answer.splitlines()[0]
    assert json.loads(answer.split("\n\n")[-1].split("\r\n\r\n")[-1])["error"]


def test_plain_http_on_the_port_of_https_is_answered_in_the_one_shape():
    answer = curl("-i", f"http://{proxied.address()}:443/")
    assert "400" in answer.splitlines()[0]
    assert "This port speaks HTTPS" in answer


def test_the_app_learns_that_the_client_spoke_https_and_its_own_word_for_it_does_not_count():
    told = json.loads(curl("-H", "X-Forwarded-Proto: http", f"https://{proxied.address()}/"))
    assert told["headers"]["x-forwarded-proto"] == "https"
    assert told["headers"]["host"] == proxied.address()


@pytest.mark.parametrize("version", ["--http2", "--http1.1"])
def test_both_versions_of_http_carry_a_post(version):
    answer = curl(version, "-w", "%{http_version}", "-d", "x" * 100_000, f"https://{proxied.address()}/")
    told, end = answer.rsplit("}", 1)
    assert json.loads(told + "}")["bytes"] == 100_000
    assert end.strip() == {"--http2": "2", "--http1.1": "1.1"}[version]


def test_a_body_over_the_limit_is_refused_over_http_2_as_well(tmp_path):
    (tmp_path / "large").write_bytes(b"x" * 4_300_000)
    answer = curl(
        "--http2", "-w", "%{http_code}", "--data-binary", f"@{tmp_path / 'large'}", f"https://{proxied.address()}/"
    )
    assert answer.endswith("413")
    assert "larger than" in answer


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("-tls1_1 " + ANY, "alert protocol version"),
        ("-tls1 " + ANY, "alert protocol version"),
        ("-tls1_2", "TLSv1.2"),
        ("-tls1_3", "TLSv1.3"),
        ("-tls1_2 -cipher AES128-SHA", "alert handshake failure"),
        ("-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", "alert handshake failure"),
        ("-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256", "alert handshake failure"),
        ("-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ("", "X25519MLKEM768"),
        ("-groups X25519", "Peer Temp Key: X25519"),
        ("-groups P-256", "prime256v1"),
        ("-groups P-521", "alert handshake failure"),
    ],
)
def test_what_mozillas_guideline_names_is_spoken_and_nothing_else(connect, options, found):
    assert found in connect(options)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_client_that_comes_back_resumes_its_session(machine: Machine, connect, version):
    connect(f"{version} -sess_out /tmp/session")
    assert "Reused, TLSv1" in connect(f"{version} -sess_in /tmp/session")


def test_the_modern_profile_speaks_tls_1_3_alone(connect):
    proxied.deploy(reverse_proxy_tls_profile="modern")
    try:
        assert "alert protocol version" in connect("-tls1_2")
        assert "TLSv1.3" in connect("-tls1_3")
    finally:
        proxied.deploy()
    assert "TLSv1.2" in connect("-tls1_2")


def test_other_ports_are_named_where_plain_http_leads(machine: Machine):
    proxied.deploy(reverse_proxy_http_port=8080, reverse_proxy_https_port=8443)
    try:
        answer = curl("-i", f"http://{proxied.address()}:8080/x")
        assert f"Location: https://{proxied.address()}:8443/x" in answer
        assert json.loads(curl(f"https://{proxied.address()}:8443/x"))["path"] == "/x"
        assert machine("curl -s http://127.0.0.1:8080/nginx-healthz")
    finally:
        proxied.deploy()
    assert client.ask()[0] == 200
