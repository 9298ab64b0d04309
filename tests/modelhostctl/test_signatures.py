"""A bundle that differs in anything from what a trusted key has signed is refused, by the name of the file."""

import base64
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from modelhost.bundle.bundle import SIGNATURE as IN_THE_APP
from signing import Key, sign, signature, stated, statement, write

from modelhostctl.checks.public_keys import UnusableKeyError, read_keys
from modelhostctl.checks.signature import MOST_BYTES, SIGNATURE, SignatureError
from modelhostctl.checks.signed_files import check_signed

DIGEST = "0" * 64


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> Key:
    return Key(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def bundle(tmp_path, key) -> Path:
    """A signed folder."""
    folder = tmp_path / "iris" / "1"
    (folder / "lists" / "deep").mkdir(parents=True)
    for name in ("model.yaml", "model.onnx", "lists/words.txt", "lists/deep/more.txt"):
        (folder / name).write_text(f"what {name} holds")
    sign(folder, key)
    return folder


def problem(folder: Path, *keys: Key) -> str:
    """Why it is refused, in one line."""
    with pytest.raises(SignatureError) as caught:
        check_signed(folder, [key.public for key in keys])
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_what_a_trusted_key_has_signed_is_taken(bundle, tmp_path, key, digest):
    own = Key(tmp_path, "own", digest)
    sign(bundle, own)
    check_signed(bundle, [own.public])
    check_signed(bundle, [key.public, own.public])
    assert "model.sig is not signed by a trusted key" in problem(bundle, key)


def test_without_a_signature_it_is_refused_with_what_to_type(bundle, key):
    (bundle / "model.sig").unlink()
    assert problem(bundle, key) == (
        "it is not signed (there is no model.sig), and a signature by a trusted key is wanted: "
        "`modelhost sign BUNDLE --key KEY.pem` signs it"
    )


def test_a_signature_by_another_key_is_told_from_one_that_was_altered(bundle, key, tmp_path):
    other = Key(tmp_path, "other")
    said = problem(bundle, other)
    assert said == f"model.sig is not signed by a trusted key: it names the key {key.public.fingerprint[:16]}"
    content = signature(other, statement(bundle))
    content["verificationMaterial"]["publicKey"]["hint"] = key.public.fingerprint
    write(bundle, content)
    assert problem(bundle, key) == "model.sig is not signed by a trusted key, though it names one: it was altered"
    assert "is not signed by a trusted key" in problem(bundle), "no key, no trust"


def altered(folder: Path) -> None:
    (folder / "lists" / "words.txt").write_text("what lists/words.txt holdS")


def longer(folder: Path) -> None:
    (folder / "lists" / "words.txt").write_text("what lists/words.txt holds.")


def linked(folder: Path) -> None:
    shutil.copyfile(folder / "lists" / "words.txt", folder.parent / "same.txt")
    (folder / "lists" / "words.txt").unlink()
    (folder / "lists" / "words.txt").symlink_to(folder.parent / "same.txt")


def linked_folder(folder: Path) -> None:
    (folder / "lists").rename(folder.parent / "lists")
    (folder / "lists").symlink_to(folder.parent / "lists")


def piped(folder: Path) -> None:
    (folder / "lists" / "words.txt").unlink()
    os.mkfifo(folder / "lists" / "words.txt")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (altered, "lists/words.txt is not the file that was signed"),
        (longer, "lists/words.txt is not the file that was signed"),
        (lambda folder: (folder / "model.yaml").write_text("another"), "model.yaml is not the file that was signed"),
        (lambda folder: (folder / "model.onnx").unlink(), "model.onnx was signed, and is not there"),
        (lambda folder: (folder / "more.py").write_text(""), "more.py was not signed, and was added since"),
        (lambda folder: (folder / ".hidden").write_text(""), ".hidden was not signed, and was added since"),
        (lambda folder: (folder / "lists" / "model.sig").write_text(""), "lists/model.sig was not signed"),
        (lambda folder: (folder / "new").mkdir(), "new is a folder of which nothing was signed"),
        (lambda folder: (folder / "a\nb\x1b").write_text(""), "a\\nb\\x1b was not signed"),
        (linked, "lists/words.txt is a link"),
        (linked_folder, "lists is a link"),
        (lambda folder: (folder / "more").symlink_to("model.onnx"), "more is a link"),
        (piped, "lists/words.txt is no plain file"),
    ],
)
def test_whatever_is_done_to_its_files_is_refused_by_the_files_name(bundle, key, change, said):
    check_signed(bundle, [key.public])
    change(bundle)
    found = problem(bundle, key)
    assert found.startswith(said)
    assert ": " in found, "what to do"


def test_the_signature_itself_is_a_plain_file_of_bounded_size(bundle, key):
    real = bundle.parent / "real.sig"
    (bundle / "model.sig").rename(real)
    (bundle / "model.sig").symlink_to(real)
    assert "model.sig cannot be read" in problem(bundle, key)
    (bundle / "model.sig").unlink()
    os.mkfifo(bundle / "model.sig")
    assert "model.sig is no plain file" in problem(bundle, key)
    (bundle / "model.sig").unlink()
    with (bundle / "model.sig").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    assert f"at most {MOST_BYTES}" in problem(bundle, key)


def put(*path: str | int, value: Any) -> Callable[[Any], None]:
    """A change of something parsed: the value at a path."""

    def change(content: Any) -> None:
        for part in path[:-1]:
            content = content[part]
        content[path[-1]] = value

    return change


def twice(content: Any) -> None:
    content["dsseEnvelope"]["signatures"] *= 2


def flipped(part: str) -> Callable[[Any], None]:
    """Change one byte of what is signed, or of the signature."""

    def change(content: Any) -> None:
        holder = content["dsseEnvelope"] if part == "payload" else content["dsseEnvelope"]["signatures"][0]
        raw = bytearray(base64.b64decode(holder[part]))
        raw[len(raw) // 2] ^= 1
        holder[part] = base64.b64encode(bytes(raw)).decode()

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (flipped("payload"), "not signed by a trusted key, though it names one"),
        (flipped("sig"), "not signed by a trusted key, though it names one"),
        (twice, "one signature, and no other"),
        (put("dsseEnvelope", "signatures", value=[]), "one signature, and no other"),
        (put("dsseEnvelope", "signatures", value="x"), "one signature, and no other"),
        (put("dsseEnvelope", "signatures", 0, value="x"), "one signature, and no other"),
        (put("dsseEnvelope", "signatures", 0, "sig", value="not base64!"), "its signature is no base64"),
        (put("dsseEnvelope", "signatures", 0, "sig", value=""), "none of ECDSA"),
        (put("dsseEnvelope", "signatures", 0, "sig", value="AAAA" * 100), "none of ECDSA"),
        (put("dsseEnvelope", "signatures", 0, "sig", value=None), "its signature is no base64"),
        (put("dsseEnvelope", "payload", value=7), "its payload is no base64"),
        (put("dsseEnvelope", "payloadType", value="text/plain"), "its payload is of the type 'text/plain'"),
        (put("dsseEnvelope", value=None), "no dsseEnvelope"),
        (put("mediaType", value="application/vnd.dev.sigstore.bundle+json;version=0.2"), "it is no application/vnd"),
        (put("verificationMaterial", value={"certificate": {}}), "without a key of one's own"),
    ],
)
def test_a_signature_that_was_made_otherwise_is_refused(bundle, key, change, said):
    content = json.loads((bundle / "model.sig").read_text())
    change(content)
    write(bundle, content)
    found = problem(bundle, key)
    assert found.startswith("model.sig is ")
    assert said in found


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '{"mediaType": 1e999}', "9" * 5000, "\x00"])
def test_what_is_no_signature_at_all_is_refused(bundle, key, text):
    (bundle / "model.sig").write_text(text)
    assert problem(bundle, key).startswith("model.sig is no signature as `modelhost sign` makes it")


def test_a_name_that_stands_twice_is_refused(bundle, key):
    text = (bundle / "model.sig").read_text()
    (bundle / "model.sig").write_text(text.replace('"payloadType"', '"payload": "", "payloadType"'))
    assert "no JSON that can be read" in problem(bundle, key)


def resource(name: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "algorithm": "sha256", "digest": DIGEST} | more


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (stated([resource("../secret")]), "lists '../secret', which is no file of a bundle"),
        (stated([resource("a/../../b")]), "which is no file of a bundle"),
        (stated([resource("/etc/passwd")]), "lists '/etc/passwd', which is no file of a bundle"),
        (stated([resource("a//b")]), "which is no file of a bundle"),
        (stated([resource("")]), "which is no file of a bundle"),
        (stated([resource("a\0b")]), "which is no file of a bundle"),
        (stated([resource(7)]), "lists 7, which is no file of a bundle"),
        (stated([resource("model.sig")]), "lists 'model.sig', which is no file of a bundle"),
        (stated([resource("a"), resource("a")]), "lists 'a' twice"),
        (stated([resource("a", algorithm="blake2")]), "no sha256 of 'a'"),
        (stated([resource("a")]) | {"_type": "https://in-toto.io/Statement/v0.1"}, "no statement of the type"),
        (stated([resource("a")]) | {"predicateType": "https://model_signing/Digests/v0.1"}, "no statement of the type"),
        (stated([resource("a")]) | {"subject": []}, "lacks a part"),
        (stated([resource("a")]) | {"predicate": {}}, "lacks a part"),
        (stated([resource("a")]) | {"subject": [{"name": "1", "digest": {"sha256": "1" * 64}}]}, "contradicts itself"),
        (b"[]", "no statement of the type"),
        (b"{", "no JSON that can be read"),
        (b"\xff", "no JSON that can be read"),
    ],
)
def test_what_a_trusted_key_has_signed_may_still_be_no_statement_of_a_bundles_files(bundle, key, said, why):
    write(bundle, signature(key, said))
    found = problem(bundle, key)
    assert found.startswith("model.sig is no signature as `modelhost sign` makes it: ")
    assert why in found


def test_a_statement_of_other_files_is_refused_by_the_first_that_is_not_in_it(bundle, key):
    write(bundle, signature(key, statement(bundle, ["model.onnx", "lists/words.txt", "lists/deep/more.txt"])))
    assert problem(bundle, key).startswith("model.yaml was not signed")
    write(bundle, signature(key, statement(bundle, ["model.yaml", "model.onnx"])))
    assert problem(bundle, key).startswith("lists is a folder of which nothing was signed")
    write(bundle, signature(key, stated([])))
    assert "was not signed" in problem(bundle, key)


def test_a_statement_that_shards_files_is_refused(bundle, key):
    said = statement(bundle)
    said["predicate"]["serialization"]["method"] = "shards"
    write(bundle, signature(key, said))
    assert "not hashed one by one" in problem(bundle, key)


def test_the_signature_of_another_payload_type_is_none_of_this_one(bundle, key):
    content = signature(key, statement(bundle), "text/plain")
    content["dsseEnvelope"]["payloadType"] = "application/vnd.in-toto+json"
    write(bundle, content)
    assert "is not signed by a trusted key" in problem(bundle, key)


def test_without_openssl_nothing_is_taken(bundle, key, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "the program openssl is not here; type: apt-get install openssl" in problem(bundle, key)


def test_the_app_and_the_host_call_the_signature_alike():
    assert SIGNATURE == IN_THE_APP


def rsa(folder: Path) -> str:
    from signing import run

    run("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", str(folder / "rsa.pem"))
    return run("pkey", "-in", str(folder / "rsa.pem"), "-pubout").decode()


def test_keys_are_read_whatever_stands_around_them_and_each_once(key, tmp_path):
    other = Key(tmp_path, "other", "sha384")
    found = read_keys(f"the team's:\n{key.pem}\r\n{other.pem.replace(chr(10), chr(13) + chr(10))}{key.pem}")
    assert found == [key.public, other.public]
    assert found[0].pem == key.pem, "as openssl writes it"
    assert [one.digest for one in found] == ["sha256", "sha384"]


def test_what_is_no_key_to_trust_is_refused_with_what_it_is(key, tmp_path):
    def refusal(text: str) -> str:
        with pytest.raises(UnusableKeyError) as caught:
            read_keys(text)
        return str(caught.value)

    assert "no public key in PEM" in refusal("ssh-ed25519 AAAA")
    assert "no public key in PEM" in refusal(key.pem + "-----BEGIN PUBLIC KEY-----")
    private = key.private.read_text()
    assert "a private key, which stays with whoever signs" in refusal(private)
    assert "a private key" in refusal(key.pem + private)
    assert "another kind than ECDSA on P-256, P-384 or P-521" in refusal(rsa(tmp_path))
    assert "another kind" in refusal(key.pem.replace("MFkw", "MFkx"))
    assert "cut off or damaged" in refusal(key.pem.replace("==", "="))
    assert "holds a CERTIFICATE" in refusal(key.pem.replace("PUBLIC KEY", "CERTIFICATE"))
    assert "at most 100" in refusal(key.pem * 101)
