"""Close an account with an issuer: close_account.py <its key> <lego's account.json> (RFC 8555, 7.3.6)."""

import base64
import json
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

DIRECTORY = "https://127.0.0.1:14000/dir"
TRUSTED = ssl.create_default_context(cafile="/opt/issuer/certificate.pem")


def ask(url: str, body: bytes | None = None) -> urllib.response.addinfourl:
    """GET, or POST where there is a body."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/jose+json"})
    return urllib.request.urlopen(request, context=TRUSTED)


def encode(data: bytes) -> str:
    """Base64 as JWS has it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def close(key: EllipticCurvePrivateKey, account: str) -> bytes:
    """Send the one request; the issuer may refuse a nonce that was good."""
    nonce = ask(json.load(ask(DIRECTORY))["newNonce"]).headers["Replay-Nonce"]
    head = encode(json.dumps({"alg": "ES256", "kid": account, "nonce": nonce, "url": account}).encode())
    body = encode(b'{"status": "deactivated"}')
    r, s = decode_dss_signature(key.sign(f"{head}.{body}".encode(), ECDSA(SHA256())))
    signature = encode(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    signed = {"protected": head, "payload": body, "signature": signature}
    return ask(account, json.dumps(signed).encode()).read()


def main() -> int:
    """Try until the nonce is taken."""
    key = load_pem_private_key(Path(sys.argv[1]).read_bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    account = json.loads(Path(sys.argv[2]).read_text())["registration"]["uri"]
    for _ in range(20):
        try:
            print(close(key, account).decode())
        except urllib.error.HTTPError as error:
            said = error.read().decode()
            if "badNonce" not in said:
                sys.exit(said)
        else:
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
