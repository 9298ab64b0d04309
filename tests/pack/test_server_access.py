"""predict and list at a server behind TLS and keys, as a deployed host has them; and why no answer comes."""

import importlib
import json
import socket
import ssl
import subprocess
import threading
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from commands import MODELS, Result, serving
from modelhost.cli.server_access import Access
from modelhost.cli.unreachable import no_answer

Command = Callable[..., Result]
HTTP = importlib.import_module("modelhost.cli.http")
KEY = "mh-0123456789abcdef"
WORDS = {401: "A key is needed here.", 403: "This key may not ask this model."}


class Host(BaseHTTPRequestHandler):
    """Answers as nginx does where clients have keys; /models/other is for another client."""

    def do_GET(self) -> None:
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_port}/models")  # type: ignore[attr-defined]
            self.end_headers()
            return
        known = self.headers["Authorization"] == f"Bearer {KEY}"
        status = 401 if not known else 403 if "other" in self.path else 200
        models = [{"name": "iris", "version": 1, "predict": "/models/iris/predict", "description": "Irises"}]
        body = json.dumps(models if status == 200 else {"error": WORDS[status]}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.send_response(308)
        self.send_header("Location", "https://203.0.113.10/models/iris/predict")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that does not trust it
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem and another CA's; and what the first signed for 127.0.0.1, now and for a day in the past."""
    folder = tmp_path_factory.mktemp("certificates")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "other"):
        usage = ("-addext", "keyUsage=critical,keyCertSign")
        made = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")
        openssl("req", "-x509", *curve, "-subj", f"/CN={name}", *usage, *made)
    openssl("req", "-new", *curve, "-subj", "/CN=host", "-keyout", folder / "key.pem", "-out", folder / "request")
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
    signed = ("-in", folder / "request", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial")
    for name, days in (("now", "2"), ("expired", "-1")):
        out = ("-days", days, "-extfile", folder / "extensions", "-out", folder / f"{name}.pem")
        openssl("x509", "-req", *signed, *out)
    return folder


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "alice.key"
    file.write_text(KEY + "\n")
    return file


@contextmanager
def host(certificates: Path, certificate: str = "now") -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{certificate}.pem", certificates / "key.pem")
    with listening(context) as port:
        yield f"https://127.0.0.1:{port}"


def test_a_host_with_a_ca_of_its_own_and_keys_is_asked(modelhost: Command, certificates: Path, key_file: Path) -> None:
    ca = ("--ca", certificates / "ca.pem")
    with host(certificates) as url:
        assert "Irises" in modelhost("list", url, *ca, "--key-file", key_file).ok().out
        assert "Irises" in modelhost("list", url, *ca, MODELHOST_KEY=KEY).ok().out
        assert (
            "Irises" in modelhost("list", url, SSL_CERT_FILE=str(certificates / "ca.pem"), MODELHOST_KEY=KEY).ok().out
        )


def test_a_certificate_that_cannot_be_trusted_is_told_with_what_to_do(modelhost: Command, certificates: Path) -> None:
    with host(certificates) as url:
        for command in ("list", "predict"):
            said = modelhost(command, url).err
            assert "has a certificate of a CA that is not known here" in said
            assert "--ca FILE, or in the environment as SSL_CERT_FILE" in said
            assert "/srv/modelhost/proxy/certificate-authority/ca.pem" in said
        other = modelhost("list", url, "--ca", certificates / "other.pem").err
        assert f"has a certificate that the CA in {certificates}/other.pem did not sign" in other
        none = modelhost("list", url, "--ca", certificates / "key.pem").err
        assert f"--ca {certificates}/key.pem holds no certificates in PEM" in none
        named = modelhost("list", url.replace("127.0.0.1", "localhost"), "--ca", certificates / "ca.pem").err
        assert "has a certificate for others" in named
    with host(certificates, "expired") as url:
        said = modelhost("list", url, "--ca", certificates / "ca.pem").err
        assert "has a certificate that is not valid today" in said


def test_a_key_that_is_missing_wrong_or_for_other_models(
    modelhost: Command, certificates: Path, key_file: Path, tmp_path: Path
) -> None:
    ca = ("--ca", certificates / "ca.pem")
    (tmp_path / "bob.key").write_text("mh-of-bob")
    with host(certificates) as url:
        missing = modelhost("list", url, *ca).err
        assert missing == (
            f"error: {url}/models answered 401: it wants a key. Give yours by --key-file FILE, or in the environment "
            "as MODELHOST_KEY\n"
        )
        wrong = modelhost("predict", f"{url}/models/iris", *ca, "--key-file", "bob.key").err
        assert "answered 401: it does not know the key in bob.key" in wrong
        assert "does not know the key in MODELHOST_KEY" in modelhost("list", url, *ca, MODELHOST_KEY="mh-of-bob").err
        other = modelhost("predict", f"{url}/models/other", *ca, "--key-file", key_file).err
        assert f"answered 403 to the key in {key_file}, which it knows: This key may not ask this model." in other
        assert "mh-" not in missing + wrong + other


def test_a_key_goes_nowhere_unencrypted_and_to_no_other_address(modelhost: Command, key_file: Path) -> None:
    said = modelhost("list", "http://203.0.113.10", "--key-file", key_file).err
    assert f"the key in {key_file} would go to 203.0.113.10 unencrypted: write https:// instead" in said
    with listening() as port:
        url = f"http://127.0.0.1:{port}"
        assert "Irises" in modelhost("list", url, "--key-file", key_file).ok().out
        assert "answered 401" in modelhost("predict", f"{url}/elsewhere", "--key-file", key_file).err


@pytest.mark.parametrize("text", ["", "two words", "one\ntwo", "\x00", "käy"])
def test_what_is_no_key_is_not_sent_nor_shown(modelhost: Command, tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    said = modelhost("list", "https://127.0.0.1:9", "--key-file", "key").err
    assert said == "error: key holds no key: it has to be the key alone, in one line, as make key printed it\n"


def test_options_of_a_server_are_not_for_a_bundle(modelhost: Command, key_file: Path) -> None:
    result = modelhost("predict", MODELS / "iris/1", "--key-file", key_file)
    assert (result.code, "--ca and --key-file are for a server" in result.err) == (2, True)
    modelhost("predict", MODELS / "iris/1", MODELHOST_KEY=KEY).ok()


def test_a_key_in_the_environment_is_kept_from_a_server_that_is_started(tmp_path: Path) -> None:
    with serving(MODELS / "colours/1", cwd=tmp_path, MODELHOST_KEY=KEY, MODELHOST_DEBUG="1") as url:
        assert url
    assert KEY not in (tmp_path / "serve.log").read_text()


def test_no_answer_has_words_for_each_cause(
    modelhost: Command, invoke: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = modelhost("list", "http://127.0.0.1:9").err
    assert "no server answers at http://127.0.0.1:9/models: 127.0.0.1:9 refuses the connection" in refused
    unknown = modelhost("list", "http://no-such-host.invalid").err
    assert "there is no host of that name" in unknown
    with listening() as port:
        plain = modelhost("list", f"https://127.0.0.1:{port}").err
        assert "does not answer in TLS" in plain
        moved = modelhost("predict", f"http://127.0.0.1:{port}/models/iris", "--data", "{}").err
        assert "answered 308: it is at https://203.0.113.10/models/iris/predict now. Write that address" in moved
    monkeypatch.setattr(HTTP, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        late = invoke("list", url).err
        assert f"{url}/models took the request and did not answer within 0.2 s" in late
    # What urlopen raises where a firewall drops what is sent to it.
    dropped = no_answer("https://203.0.113.10/", urllib.error.URLError(TimeoutError("timed out")), Access(), 60)
    assert dropped.startswith("no server answers at https://203.0.113.10/ within 60 s: is the host up")
