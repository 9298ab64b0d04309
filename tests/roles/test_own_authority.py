"""The CA of a host: what it may sign for, and what clients make of what it signs."""

import ipaddress
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from modelhost_certificate import signing
from modelhost_certificate.openssl import make_key
from rendering import PROJECT, Read

from modelhostctl.view.certificate import KINDS

# Has the OpenSSL of Debian 13, as nginx's image.
IMAGE = "modelhost-readers"
Accept = Callable[..., None]


@pytest.fixture(scope="module", params=[["10.0.0.5", "fd00::1"], ["models.internal"], ["*.example.com", "10.0.0.5"]])
def names(request) -> list[str]:
    return request.param


@pytest.fixture(scope="module")
def authority(read: Read, names: list[str]) -> tuple[bytes, bytes]:
    """A CA for these names, and its key."""
    key = make_key(IMAGE)
    return signing.sign_authority(IMAGE, key, names), key


@pytest.fixture
def accept(authority: tuple[bytes, bytes], tmp_path: Path) -> Accept:
    """Sign for some names, and let a client that knows the CA alone meet a server with that certificate."""

    def meet(signed: list[str], name: str) -> None:
        key = make_key(IMAGE)
        pem = signing.sign_server(IMAGE, *authority, key, signed)
        (tmp_path / "both.pem").write_bytes(pem + key)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(tmp_path / "both.pem")
        client = ssl.create_default_context(cadata=authority[0].decode())
        client.verify_flags |= ssl.VERIFY_X509_STRICT
        handshake(client, server, name)

    return meet


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> None:
    """A whole one, without a network."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there, server_hostname=name), server.wrap_bio(there, back, server_side=True)]
    for end in [*ends, *ends]:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert ends[0].getpeercert()


def for_one(name: str) -> str:
    """A name that one host has."""
    return name.replace("*", "models")


def test_clients_accept_each_name_that_the_host_has(accept: Accept, names: list[str]):
    for name in names:
        accept(names, for_one(name))


@pytest.mark.parametrize("other", ["other.example.org", "invalid.example", "10.0.0.6", "fd00::2"])
def test_clients_accept_no_other_name_even_of_who_has_the_key(accept: Accept, names: list[str], other: str):
    assert not signing.permits(names, other)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        accept([other], other)


def test_the_ca_signs_servers_alone_for_ten_years(authority: tuple[bytes, bytes]):
    certificate = x509.load_pem_x509_certificate(authority[0])
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)
    assert certificate.extensions.get_extension_for_class(x509.NameConstraints).critical
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [x509.ExtendedKeyUsageOID.SERVER_AUTH]
    assert lasts(certificate) == timedelta(days=3650, hours=1)


def test_a_server_is_for_its_names_and_90_days_and_began_an_hour_ago(authority: tuple[bytes, bytes], names: list[str]):
    pem = signing.sign_server(IMAGE, *authority, make_key(IMAGE), names)
    certificate, issuer = (x509.load_pem_x509_certificate(one) for one in (pem, authority[0]))
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = found.get_values_for_type(x509.IPAddress)
    assert {*found.get_values_for_type(x509.DNSName), *map(str, addresses)} == set(names)
    assert lasts(certificate) == timedelta(days=90, hours=1)
    assert timedelta(hours=1) <= datetime.now(UTC) - certificate.not_valid_before_utc < timedelta(hours=1, minutes=1)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    signer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert signer == issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert certificate.subject != certificate.issuer == issuer.subject


def lasts(certificate: x509.Certificate) -> timedelta:
    return certificate.not_valid_after_utc - certificate.not_valid_before_utc


@pytest.mark.parametrize(
    ("permitted", "name", "expected"),
    [
        ("models.internal", "MODELS.internal", True),
        ("models.internal", "a.models.internal", True),
        ("models.internal", "*.models.internal", True),
        ("models.internal", "internal", False),
        ("models.internal", "mymodels.internal", False),
        ("*.example.com", "a.example.com", True),
        ("10.0.0.5", "10.0.0.5", True),
        ("10.0.0.5", "10.0.0.50", False),
        ("fd00:0::1", "fd00::1", True),
        ("fd00::1", "10.0.0.5", False),
        ("0.0.5", "10.0.0.5", False),
    ],
)
def test_what_a_ca_permits_is_its_names_those_below_them_and_its_addresses(permitted, name, expected):
    assert signing.permits([permitted], name) is expected


def test_no_address_is_permitted_where_there_are_names_alone():
    assert signing.constraints(["a.internal"]) == "permitted;IP:0.0.0.0/255.255.255.255,permitted;DNS:a.internal"
    assert ipaddress.ip_address("0.0.0.0").is_unspecified


def test_a_status_calls_each_kind_as_the_tool_on_the_host_does():
    text = (PROJECT / "roles/reverse_proxy/files/modelhost_certificate/report.py").read_text()
    assert all(f'"{kind}": "{words}"' in text for kind, words in KINDS.items())
