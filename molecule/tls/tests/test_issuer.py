"""Certificates from an issuer: for a name, for an address, renewed under load; and what happens when it refuses."""

import base64
import json
import os
import ssl
import time
from collections.abc import Callable, Iterator

import client
import proxied
import pytest
from issuer import DIRECTORY, Issuer
from traffic import Load

NAME = "models.example.com"
CURRENT = "/srv/modelhost/proxy/tls/current"
TOOL = "/usr/local/bin/modelhost-certificate"
STATE = "/srv/modelhost/proxy/acme/state"
ACCOUNTS = f"{STATE}/accounts"
# For longer: TLS_RENEWALS=50 molecule test -s tls
RENEWALS = int(os.environ.get("TLS_RENEWALS", "3"))
Machine = Callable[[str], str]


@pytest.fixture(autouse=True, scope="module")
def as_it_was() -> Iterator[None]:
    """The others of this scenario find what they begin with."""
    yield
    proxied.deploy()


def facts(machine: Machine) -> dict:
    return json.loads(machine(f"cat {CURRENT}/facts.json"))


def renew(machine: Machine, *options: str) -> str:
    """Ask for a new one now; returns the end of what it says and the exit code."""
    return machine(f"{TOOL} renew {' '.join(options)} 2>&1; echo exit code $?")


def test_without_an_issuer_auto_serves_a_certificate_of_the_host_and_says_why(machine: Machine, issuer: Issuer):
    issuer.stop()
    run = proxied.converge(**issuer.variables(reverse_proxy_server_names=[NAME]))
    issuer.start()
    assert run.returncode == 0, run.stdout
    assert f"{DIRECTORY} gave no certificate for {NAME}" in " ".join(run.stdout.split())
    assert "tried again every hour" in run.stdout
    assert facts(machine)["kind"] == "selfsigned"
    assert "strict-transport-security" not in client.ask()[1]
    assert "modelhost_certificate_failed 1" in machine("curl -s http://127.0.0.1/metrics/certificate")


def test_while_the_issuer_is_away_the_hosts_own_is_renewed_in_time(machine: Machine, issuer: Issuer):
    issuer.stop()
    before = client.fingerprint()
    assert "exit code 1" in renew(machine)
    assert client.fingerprint() == before
    client.age(machine, days=46)
    assert "exit code 1" in renew(machine)
    assert client.fingerprint() != before
    assert facts(machine)["kind"] == "selfsigned"
    issuer.start()


def test_the_timer_goes_on_trying_and_has_it_once_the_issuer_is_there(machine: Machine, issuer: Issuer):
    assert "hourly" in machine("systemctl cat modelhost-certificate.timer")
    assert machine(
        "systemctl is-active modelhost-certificate.timer; systemctl is-enabled modelhost-certificate.timer"
    ).split() == ["active", "enabled"]
    machine("systemctl start modelhost-certificate.service")
    assert facts(machine)["kind"] == "acme"
    status, headers, _ = client.ask(trusted=issuer.root(), name=NAME)
    assert (status, headers["strict-transport-security"]) == (200, "max-age=63072000")
    assert client.ask("/nginx-healthz", trusted=issuer.root(), name=NAME)[1]["strict-transport-security"]
    assert "strict-transport-security" not in machine("curl -si http://127.0.0.1/").lower()
    assert "strict-transport-security" not in proxied.ask().headers
    assert "modelhost_certificate_failed 0" in machine("curl -s http://127.0.0.1/metrics/certificate")


def test_another_run_asks_for_no_other_and_changes_nothing(machine: Machine, issuer: Issuer):
    before = client.fingerprint(NAME)
    again = proxied.converge(**issuer.variables(reverse_proxy_server_names=[NAME]))
    assert "changed=0" in again.stdout, again.stdout
    assert client.fingerprint(NAME) == before
    assert "exit code 0" in renew(machine)
    assert client.fingerprint(NAME) == before


def test_acme_gives_a_certificate_for_a_bare_address(machine: Machine, issuer: Issuer):
    variables = issuer.variables(reverse_proxy_tls="acme", reverse_proxy_server_names=[proxied.address()])
    proxied.deploy(**variables)
    status, headers, _ = client.ask(trusted=issuer.root())
    assert status == 200
    assert "strict-transport-security" not in headers
    assert facts(machine)["names"] == [proxied.address()]
    assert json.loads(machine("cat /srv/modelhost/proxy/certificate.json"))["issuer"]["profile"] == "shortlived"


def test_renewals_under_load_lose_no_request_and_new_connections_see_the_new_one(machine: Machine, issuer: Issuer):
    issuer.restart(proof_again=False)
    proxied.deploy(**issuer.variables(reverse_proxy_server_names=[NAME]))
    renew(machine, "--now")
    seen = [client.fingerprint(NAME)]
    with Load(f"https://{proxied.address()}/", expected=b"call", trusted=unverified(), rate=40) as load:
        for _ in range(RENEWALS):
            assert "exit code 0" in renew(machine, "--now")
            seen.append(client.fingerprint(NAME))
        time.sleep(1)
    report = load.report()
    print(f"{RENEWALS} renewals: {report}")
    assert report["failed"] == 0, report
    assert report["sent"] > 100 * RENEWALS
    assert len(set(seen)) == RENEWALS + 1


def unverified() -> ssl.SSLContext:
    """Trust anyone: what is counted here are requests."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_half_of_its_time_is_when_it_is_renewed(machine: Machine, issuer: Issuer):
    before = client.fingerprint(NAME)
    # As if 79 of 160 hours were over, and then as if 81 were.
    client.age(machine, hours=79)
    assert "exit code 0" in renew(machine)
    assert client.fingerprint(NAME) == before
    client.age(machine, hours=2)
    assert "exit code 0" in renew(machine)
    assert client.fingerprint(NAME) != before


def test_while_the_issuer_is_away_the_old_one_is_served_and_the_failure_is_seen(machine: Machine, issuer: Issuer):
    before = client.fingerprint(NAME)
    client.age(machine, hours=100)
    issuer.stop()
    machine("systemctl start modelhost-certificate.service || true")
    assert client.fingerprint(NAME) == before
    assert "failed" in machine("systemctl is-failed modelhost-certificate.service || true")
    assert f"{DIRECTORY} gave no certificate for {NAME}" in machine("journalctl --no-pager -u modelhost-certificate")
    assert "no new one since" in machine(f"{TOOL} show")
    issuer.start()
    # It has forgotten the account, too.
    machine("systemctl start modelhost-certificate.service")
    assert client.fingerprint(NAME) != before
    assert "no new one" not in machine(f"{TOOL} show")


def test_an_account_that_was_closed_is_replaced(machine: Machine, issuer: Issuer):
    before = machine(f"cat {ACCOUNTS}/*/*/account.json")
    close_account(machine)
    assert "exit code 0" in renew(machine, "--now")
    assert machine(f"cat {ACCOUNTS}/*/*/account.json") != before


def test_an_issuer_that_does_not_know_what_is_renewed_gives_a_new_one(machine: Machine, issuer: Issuer):
    assert "exit code 0" in renew(machine, "--now")
    kept = f"{STATE}/certificates/*.crt"
    of_before = machine(f"cat $(ls {kept} | grep -v issuer)")
    issuer.restart(proof_again=False)
    assert "exit code 0" in renew(machine, "--now")
    # The account is known, and the certificate is not: pebble answers 500 for ever.
    (file,) = machine(f"ls {kept} | grep -v issuer").split()
    machine(f"cat >{file} <<'EOF'\n{of_before}\nEOF")
    before = client.fingerprint()
    assert "exit code 0" in renew(machine, "--now")
    assert client.fingerprint() != before


def test_a_refusal_is_said_in_words_and_acme_fails_the_play(machine: Machine, issuer: Issuer):
    before = client.fingerprint()
    run = proxied.converge(
        **issuer.variables(reverse_proxy_tls="acme", reverse_proxy_server_names=["blocked.example.com"])
    )
    said = " ".join((run.stdout + run.stderr).split())
    assert run.returncode != 0
    assert "gave no certificate for blocked.example.com" in said
    assert "The issuer gives no certificate for that." in said
    assert client.fingerprint() == before


def test_a_proof_that_fails_says_what_to_look_at(machine: Machine, issuer: Issuer):
    issuer.restart(proof_again=True)
    # The name leads to where there is nothing.
    nowhere = proxied.address().rpartition(".")[0] + ".254"
    lost = json.dumps({"host": "lost.example.com", "addresses": [nowhere]})
    machine(f"curl -s -d '{lost}' http://127.0.0.1:8055/add-a")
    run = proxied.converge(
        **issuer.variables(reverse_proxy_tls="acme", reverse_proxy_server_names=["lost.example.com"])
    )
    said = " ".join((run.stdout + run.stderr).split())
    assert run.returncode != 0
    assert "gave no certificate for lost.example.com" in said
    assert "Does the name" in said or "Is port 80" in said


def test_nothing_of_the_proof_is_left_and_nginx_follows_no_link_there(machine: Machine):
    folder = "/srv/modelhost/proxy/tls/challenges/.well-known/acme-challenge"
    assert machine(f"ls {folder}").split() == []
    link = f"ln -s /etc/tls/current/certificate.pem {folder}/link"
    machine(f"echo proof > {folder}/plain && {link} && chown -h 10003:10002 {folder}/*")
    try:
        assert proxied.ask("/.well-known/acme-challenge/plain").body == b"proof\n"
        assert proxied.ask("/.well-known/acme-challenge/link").status == 403
        assert proxied.ask("/.well-known/acme-challenge/../../../current/key.pem").status in {308, 400, 404}
    finally:
        machine(f"rm {folder}/plain {folder}/link")


def test_from_an_issuer_to_the_hosts_own_and_to_none_leaves_nothing(machine: Machine, issuer: Issuer):
    proxied.deploy(reverse_proxy_tls="selfsigned")
    assert facts(machine)["kind"] == "selfsigned"
    assert not [
        name
        for name in machine("ls /srv/modelhost/proxy /srv/modelhost/proxy/tls").split()
        if name in {"acme", "challenges"}
    ]
    proxied.deploy(reverse_proxy_tls="off")
    assert machine("systemctl list-timers --all --no-pager | grep -c modelhost-cert || true").strip() == "0"


def close_account(machine: Machine) -> None:
    """Deactivate the account at the issuer, as its owner may (RFC 8555, 7.3.6)."""
    source = base64.b64encode((proxied.SCENARIO / "files" / "close_account.py").read_bytes()).decode()
    (key,) = machine(f"ls {ACCOUNTS}/*/*/keys/*.key").split()
    machine("apt-get -qq install --no-install-recommends python3-cryptography >/dev/null 2>&1")
    print(machine(f"echo {source} | base64 -d | python3 - {key} {key.rsplit('/keys/', 1)[0]}/account.json"))
