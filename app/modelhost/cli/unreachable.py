"""Why no answer came from a server: each cause in words of its own, with what to do."""

import socket
import ssl
import urllib.error
import urllib.parse

from modelhost.cli.server_access import KEY, Access

OWN_CA = "/srv/modelhost/proxy/certificate-authority/ca.pem"
# OpenSSL's numbers of what is wrong with a certificate.
TOO_EARLY, EXPIRED, OTHER_NAME, OTHER_ADDRESS = 9, 10, 62, 64


def no_answer(url: str, error: OSError, access: Access, seconds: float) -> str:
    """Of what was raised in place of an answer, in a sentence."""
    reason = getattr(error, "reason", error)
    host = urllib.parse.urlsplit(url).netloc
    if isinstance(reason, ssl.SSLCertVerificationError):
        return _certificate(url, reason, access)
    if isinstance(reason, ssl.SSLError):
        return f"{url} does not answer in TLS ({reason.reason or reason}): is it http:// there, or another port?"
    if isinstance(reason, ConnectionRefusedError):
        return f"no server answers at {url}: {host} refuses the connection. Is it running, and the port right?"
    if isinstance(reason, TimeoutError):
        if reason is error:  # it took the request
            return f"{url} took the request and did not answer within {seconds:g} s: look at the server's log"
        return f"no server answers at {url} within {seconds:g} s: is the host up, and does a firewall let you through?"
    if isinstance(reason, socket.gaierror):
        return f"no server answers at {url}: there is no host of that name ({reason.strerror}). Is the address right?"
    return f"no server answers at {url} ({reason}): is it running, and the address right?"


def refused(url: str, error: urllib.error.HTTPError, reason: str, access: Access) -> str:
    """Of an answer that is an error, in a sentence; `reason` is the server's own."""
    if error.code == 401 and access.key:
        return f"{url} answered 401: it does not know the key in {access.key_from}. Is it of this host, not revoked?"
    if error.code == 401:
        return f"{url} answered 401: it wants a key. Give yours by --key-file FILE, or in the environment as {KEY}"
    if error.code == 403 and access.key:
        return f"{url} answered 403 to the key in {access.key_from}, which it knows: {reason}"
    if 300 <= error.code < 400 and error.headers.get("Location"):  # what is not followed, such as by a POST
        return f"{url} answered {error.code}: it is at {error.headers['Location']} now. Write that address"
    return f"{url} answered {error.code}: {reason}"


def _certificate(url: str, error: ssl.SSLCertVerificationError, access: Access) -> str:
    said = error.verify_message.rstrip(".")
    if error.verify_code in (OTHER_NAME, OTHER_ADDRESS):
        return f"{url} has a certificate for others ({said}): ask by a name or an address that it is for"
    if error.verify_code in (TOO_EARLY, EXPIRED):
        return f"{url} has a certificate that is not valid today ({said}): see docs/tls.md, or set the clock here"
    if access.ca is not None:
        return (
            f"{url} has a certificate that the CA in {access.ca} did not sign ({said}): is that file of this host, and "
            f"of today? The host has it as {OWN_CA} (docs/tls.md)"
        )
    return (
        f"{url} has a certificate of a CA that is not known here ({said}): give that CA's certificate by --ca FILE, or "
        f"in the environment as SSL_CERT_FILE. A host that signs its own has it as {OWN_CA} (docs/tls.md says how to "
        "fetch it)"
    )
