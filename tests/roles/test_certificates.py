"""Where a certificate comes from, and whether the owner's can be used, decided on the control machine."""

from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.certificate_choice import Choice, choose
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.certificate_files import (
    covers,
    problem_of_certificate,
    problem_of_key,
)
from made_certificates import make
from rendering import evaluate, render

NOW, DAY = datetime.now(UTC), timedelta(days=1)


@pytest.mark.parametrize(
    ("server_names", "address", "kind", "names"),
    [
        (["_"], "8.8.8.8", "acme", ["8.8.8.8"]),
        (["_"], "2a01:4f8::1", "acme", ["2a01:4f8::1"]),
        (["_"], "models.modelhost.dev", "acme", ["models.modelhost.dev"]),
        (["models.modelhost.dev"], "10.0.0.5", "acme", ["models.modelhost.dev"]),
        (["_"], "10.0.0.5", "selfsigned", ["10.0.0.5"]),
        (["_"], "100.64.0.1", "selfsigned", ["100.64.0.1"]),
        (["_"], "169.254.1.1", "selfsigned", ["169.254.1.1"]),
        (["_"], "127.0.0.1", "selfsigned", ["127.0.0.1"]),
        (["_"], "203.0.113.10", "selfsigned", ["203.0.113.10"]),
        (["_"], "fd00::1", "selfsigned", ["fd00::1"]),
        (["_"], "vm1", "selfsigned", ["vm1"]),
        (["_"], "models.local", "selfsigned", ["models.local"]),
        (["_"], "models.example", "selfsigned", ["models.example"]),
        (["*.modelhost.dev"], "8.8.8.8", "selfsigned", ["*.modelhost.dev", "8.8.8.8"]),
        (["models.modelhost.dev", "vm1"], "8.8.8.8", "selfsigned", ["models.modelhost.dev", "vm1", "8.8.8.8"]),
    ],
)
def test_auto_asks_an_issuer_for_what_is_public_and_says_why_not(server_names, address, kind, names):
    choice = choose("auto", server_names, address)
    assert (choice.kind, choice.names) == (kind, names)
    assert "public" in choice.why or "stands for many names" in choice.why


def test_what_is_named_is_taken():
    assert choose("files", ["a.example.org", "_"], "8.8.8.8") == Choice(
        "files", ["a.example.org"], "reverse_proxy_tls is files"
    )
    assert choose("selfsigned", ["_"], "8.8.8.8").names == ["8.8.8.8"]
    assert choose("acme", ["_"], "10.0.0.5").names == ["10.0.0.5"]


@pytest.mark.parametrize("off", ["off", False, "False"])
def test_a_bare_off_is_false_for_yaml_and_means_off(off):
    assert evaluate("reverse_proxy", "{{ __reverse_proxy_tls }}", reverse_proxy_tls=off) == "False"
    text = render("reverse_proxy", "etc/nginx/nginx.conf.j2", reverse_proxy_tls=off)
    assert "listen 80 default_server" in text
    assert not [word for word in ("ssl", "443", "308", "certificate") if word in text]


@pytest.mark.parametrize(("names", "profile"), [(["8.8.8.8"], "shortlived"), (["models.modelhost.dev"], "")])
def test_an_address_is_asked_for_in_the_profile_that_has_it(names, profile):
    found = "{{ __reverse_proxy_certificate_settings.issuer.profile }}"
    assert evaluate("reverse_proxy", found, reverse_proxy_server_names=names) == profile


def test_the_role_alone_takes_a_host_without_a_way_out_by_ipv6():
    facts = {"default_ipv4": {"address": "10.0.0.5"}, "default_ipv6": {}}
    found = evaluate("reverse_proxy", "{{ __reverse_proxy_certificate_settings.also }}", ansible_facts=facts)
    assert found == "['10.0.0.5']"


def test_the_lowest_port_that_needs_no_root_is_that_of_both():
    for ports, lowest in (((80, 443), "80"), ((8080, 443), "443")):
        variables = dict(zip(("reverse_proxy_http_port", "reverse_proxy_https_port"), ports, strict=True))
        assert evaluate("reverse_proxy", "{{ __reverse_proxy_lowest_port }}", **variables) == lowest
        assert evaluate(
            "reverse_proxy", "{{ __reverse_proxy_lowest_port }}", reverse_proxy_tls="off", **variables
        ) == str(ports[0])


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("models.example.org", "MODELS.example.org", True),
        ("*.example.org", "models.example.org", True),
        ("*.example.org", "example.org", False),
        ("*.example.org", "a.models.example.org", False),
        ("*.example.org", "*.example.org", True),
        ("2001:db8:0::1", "2001:db8::1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("*.0.0.1", "10.0.0.1", False),
    ],
)
def test_a_star_stands_for_one_label_and_no_address(pattern, name, expected):
    assert covers(pattern, name) is expected


def test_a_certificate_is_judged_by_its_time_and_its_names():
    pem, key = make(["a.example.org", "10.0.0.1"], NOW - DAY, NOW + DAY)
    assert problem_of_certificate(pem, ["a.example.org", "10.0.0.1"], NOW) is None
    assert "expired on" in str(problem_of_certificate(pem, ["a.example.org"], NOW + 2 * DAY))
    assert "is not valid before" in str(problem_of_certificate(pem, ["a.example.org"], NOW - 2 * DAY))
    assert problem_of_certificate(pem, ["b.example.org"], NOW) == (
        "is for a.example.org, 10.0.0.1, and not for b.example.org"
    )
    assert "holds no certificate" in str(problem_of_certificate(key, [], NOW))
    assert "holds a private key as well" in str(problem_of_certificate(pem + key, ["a.example.org"], NOW))


def test_a_key_is_the_certificates_or_is_not():
    pem, key = make(["a.example.org"], NOW - DAY, NOW + DAY)
    assert problem_of_key(key, pem) is None
    assert problem_of_key(make(["a.example.org"], NOW, NOW + DAY)[1], pem) == "is not the certificate's key"
    assert "holds no private key" in str(problem_of_key(pem, pem))
