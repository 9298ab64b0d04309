"""An image that was built elsewhere: pulled by its digest, refused where it cannot serve, and no password anywhere."""

import base64
import json
import re
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from rendering import PROJECT
from test_release import release

import modelhostctl
from modelhostctl.checks import image
from modelhostctl.checks.image import Pulled, image_problems
from modelhostctl.errors import StepError
from modelhostctl.host import registry
from modelhostctl.host.docker import Docker
from modelhostctl.host.registry import Login
from modelhostctl.host.registry_words import explain
from modelhostctl.store import registry_authorities

DIGEST = "sha256:" + "0123456789abcdef" * 4
REPOSITORY = "registry.test:5000/team/modelhost"
REFERENCE, NAME = f"{REPOSITORY}@{DIGEST}", f"modelhost-app:{DIGEST.replace(':', '-')}"
PULLED = {"reference": REFERENCE, "source": "c" * 12, "extras": ["grpc"], "requirements": {"d" * 64: "churn"}}
SECRET = "s3cr3t-of-the-registry"
GOOD: dict[str, Any] = {
    "Id": f"sha256:{'b' * 64}",
    "Architecture": "amd64",
    "Config": {
        "User": image.USER,
        "Cmd": image.COMMAND,
        "Labels": {
            image.TITLE_LABEL: image.TITLE,
            image.VERSION_LABEL: modelhostctl.__version__,
            image.SOURCE_LABEL: "c" * 12,
            image.EXTRAS_LABEL: "grpc skops",
            image.REQUIREMENTS_LABEL: f"{'e' * 64} {'d' * 64}",
        },
    },
}


def good(config: dict[str, Any] | None = None, labels: dict[str, Any] | None = None, **other: Any) -> dict[str, Any]:
    """An image that can serve, but for these."""
    named = {name: text for name, text in (GOOD["Config"]["Labels"] | (labels or {})).items() if text is not None}
    return GOOD | {"Config": GOOD["Config"] | (config or {}) | {"Labels": named}} | other


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (good(), []),
        (good(Architecture="arm64"), ["is for arm64, and this host has amd64"]),
        (good(labels={image.TITLE_LABEL: "nginx"}), ["is no image of modelhost's app"]),
        ({"Architecture": "amd64", "Config": None}, ["is no image of modelhost's app"]),
        (good(labels={image.VERSION_LABEL: "0.0.9"}), ["was built by modelhost 0.0.9, and this is"]),
        (good(labels={image.VERSION_LABEL: None}), ["does not say by which version it was built"]),
        (
            good(labels={image.SOURCE_LABEL: "e" * 12}),
            ["was built of the code eeeeeeeeeeee, and what is deployed from"],
        ),
        (good(labels={image.SOURCE_LABEL: ""}), ["does not say of which code it was built, and what is deployed from"]),
        (good({"User": ""}), ["runs as 'root', and the app is 10001:10001"]),
        (good({"Entrypoint": ["/init"]}), ["starts '/init gunicorn --config"]),
        (good({"Cmd": ["sh"]}), ["starts 'sh', and not 'gunicorn "]),
        (good(labels={image.EXTRAS_LABEL: ""}), ["lacks the libraries that the bundles need: grpc"]),
        (good(labels={image.REQUIREMENTS_LABEL: "e" * 64}), ["was built without the requirements of churn"]),
        (good({"User": "0", "Cmd": None}), ["runs as '0'", "starts ''"]),
    ],
)
def test_an_image_that_cannot_serve_is_told_from_one_that_can(found: dict[str, Any], said: list[str]) -> None:
    problems = image_problems(found, Pulled.of(PULLED), "amd64")
    assert len(problems) == len(said)
    assert all(words in problem for words, problem in zip(said, problems, strict=True)), problems


def test_what_is_looked_for_is_what_the_build_writes() -> None:
    dockerfile = re.sub(r"\\\n\s*", "", (PROJECT / "app/Dockerfile").read_text())
    (labels,) = re.findall(r"^LABEL (.*)$", dockerfile, re.MULTILINE)
    assert f'{image.TITLE_LABEL}="{image.TITLE}"' in labels
    assert f'{image.VERSION_LABEL}="{modelhostctl.__version__}"' in labels
    assert f'{image.SOURCE_LABEL}="${{SOURCE}}"' in labels
    assert f'{image.EXTRAS_LABEL}="${{EXTRAS}}" {image.REQUIREMENTS_LABEL}="${{REQUIREMENTS}}"' in labels
    assert f"\nUSER {image.USER}\n" in dockerfile
    assert dockerfile.endswith(f"\nCMD {json.dumps(image.COMMAND)}\n")
    assert "ENTRYPOINT" not in dockerfile


# What engines 20.10 and 26.1 say.
@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('Get "https://x/v2/": dial tcp 192.0.2.2:5000: connect: connection refused', "does not reach"),
        ('Get "https://x/v2/": dial tcp: lookup registry.test on 10.0.0.1:53: no such host',
         "does not find the name registry.test:5000"),
        ("net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
         "does not reach registry.test:5000"),
        ('Get "https://x/v2/": http: server gave HTTP response to HTTPS client',
         "write app_image_registry_plain_http: true"),
        ('Get "https://x/v2/": http: server gave HTTP response to HTTPS client',
         "was here before and keeps its settings: add registry.test:5000 there"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority",
         "app_image_registry_ca_file"),
        ("x509: certificate is valid for a.test, not b.test", "certificate of registry.test:5000 is not in order"),
        (f"manifest for {REFERENCE} not found: manifest unknown: manifest unknown",
         f"no image of that digest in {REPOSITORY}"),
        ("name unknown: repository name not known to registry", f"has no repository {REPOSITORY}"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", "none for this host's processor"),
        ("failed to register layer: write /x: no space left on device", "the disk of this host is full"),
        ("toomanyrequests: You have reached your pull rate limit", "refuses more requests for a while"),
        ("something that no one has seen", "could not be pulled: The engine says: something that no one has seen"),
    ],
)  # fmt: skip
def test_what_stands_in_the_way_is_said_in_words_and_in_the_engines(said: str, words: str) -> None:
    told = explain(said, "pulled", REFERENCE, "ci")
    assert told.startswith(f"{REFERENCE} could not be pulled: ")
    assert words in told
    assert said in told


@pytest.mark.parametrize(
    ("said", "with_account", "without"),
    [
        ("unauthorized: authentication required", "does not take the password of ci", "lets no one in without an"),
        ("error parsing HTTP 401 response body: invalid character '<' looking for beginning of value",
         "does not take the password", "without an account"),
        ('Head "https://x": no basic auth credentials', "does not take the password", "without an account"),
        ("denied: requested access to the resource is denied", "does not let ci to it", "without an account"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_to_who_has_an_account_and_to_others(said: str, with_account: str, without: str) -> None:
    assert with_account in explain(said, "pulled", REFERENCE, "ci")
    assert without in explain(said, "pulled", REFERENCE, "")


# What engine 26.1 says where it has a proxy; Go's library gives a proxy's refusal of https without its number.
@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('Get "https://x/v2/": Proxy Authentication Required', "wants an account, or another password"),
        ("received unexpected HTTP status: 407 Proxy Authentication Required", "wants an account"),
        ('Get "https://x/v2/": Forbidden', "does not let it to registry.test:5000"),
        ('Get "https://x/v2/": Unauthorized\n', "does not let it to registry.test:5000"),
        ('Head "https://x/v2/a/manifests/1": Service Unavailable', "does not let it to registry.test:5000"),
        ('Get "https://x/v2/": proxyconnect tcp: dial tcp: lookup proxy.test: no such host', "does not answer it"),
        ('Get "https://x/v2/": proxyconnect tcp: dial tcp 192.0.2.1:3128: connect: no route to host', "not answer it"),
        ('Get "https://x/v2/": proxyconnect tcp: tls: failed to verify certificate: x509: unknown', "not answer it"),
        ("error parsing HTTP 403 response body: invalid character '<' looking for beginning of value: \"<html>\"",
         "is not registry.test:5000 itself"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("username", ["ci", ""])
def test_a_proxys_refusal_is_not_taken_for_the_registrys(said: str, words: str, username: str) -> None:
    told = explain(said, "pulled", REFERENCE, username)
    assert words in told
    assert "outbound_http_proxy names it, or the engine's owner has" in told
    assert "name registry.test:5000 in outbound_no_proxy" in told
    assert not any(wrong in told for wrong in ("password of ci", "an account ", "let ci", "app_image_registry"))


@pytest.mark.parametrize(
    "said",
    [
        "denied: requested access to the resource is denied",
        "unexpected status from HEAD request to https://x/v2/a/manifests/1: 403 Forbidden",
    ],
)
def test_a_registrys_refusal_is_not_taken_for_a_proxys(said: str) -> None:
    assert "does not let ci to it" in explain(said, "pulled", REFERENCE, "ci")


class Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The engine's own interface: what it was asked, and what it reports."""

    daemon_threads = True
    status, reports = 200, [{"status": "Pull complete"}]
    asked: list[tuple[str, dict[str, str]]]

    def work(self) -> None:
        """What it does before it reports."""


class Handler(BaseHTTPRequestHandler):
    server: Any

    def do_POST(self) -> None:
        header = base64.urlsafe_b64decode(self.headers["X-Registry-Auth"])
        self.server.asked.append((self.path, json.loads(header)))
        self.server.work()
        said = "".join(json.dumps(report) + "\r\n" for report in self.server.reports)
        self.wfile.write(f"HTTP/1.0 {self.server.status} said\r\n\r\n{said}".encode())

    def log_message(self, *_: Any) -> None:
        """Be silent."""

    def address_string(self) -> str:
        return ""


@pytest.fixture
def engine(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine that pulls and pushes, and knows an image that can serve."""
    socket = folders[0] / "docker.sock"
    server = Engine(str(socket), Handler)
    server.asked = []
    monkeypatch.setattr(registry, "SOCKET", socket)
    monkeypatch.setattr(Docker, "architecture", lambda _: "amd64")
    monkeypatch.setattr(Docker, "inspect_image", lambda *_: GOOD)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def names_told(machine: Any) -> list[str]:
    """What the engine was told to do with names of images."""
    lines = [line.removesuffix("(locked)").strip() for line in machine.file("log").read_text().splitlines()]
    return [line for line in lines if line.startswith(("image tag", "image rm"))]


def test_an_image_is_pulled_with_the_account_and_named_by_its_digest_alone(machine, run, token, engine):
    account = {"username": "ci", "password": SECRET}
    result = run("pull", pulled=PULLED, image=NAME, lock=token, **account)
    assert (result["changed"], result["progress"]) == (True, [f"pulled {REFERENCE}"])
    (path, sent) = engine.asked[0]
    assert unquote(path) == f"/images/create?fromImage={REPOSITORY}&tag={DIGEST}"
    assert sent == {**account, "serveraddress": "registry.test:5000"}
    assert names_told(machine) == [f"image tag {REFERENCE} {NAME}", f"image rm {REFERENCE}"]
    assert SECRET not in json.dumps(result) + machine.file("log").read_text() + json.dumps(machine.tree())


def test_without_an_account_none_is_sent(run, token, engine):
    run("pull", pulled=PULLED, image=NAME, lock=token)
    assert engine.asked[0][1] == {}


def test_a_check_says_what_would_be_pulled_and_asks_no_one(machine, run, engine):
    result = run("pull", "--check", pulled=PULLED, image=NAME)
    assert (result["changed"], result["progress"]) == (True, [f"would pull {REFERENCE}"])
    assert engine.asked == []


def test_an_image_that_cannot_serve_is_not_kept(machine, run, token, engine, monkeypatch):
    monkeypatch.setattr(Docker, "inspect_image", lambda *_: good({"User": "root"}))
    result = run("pull", pulled=PULLED, image=NAME, lock=token)
    assert "runs as 'root'" in result["msg"]
    assert "Nothing was released. `make image` builds and pushes one" in result["msg"]
    told = machine.file("log").read_text()
    assert f"image rm {REFERENCE}" in told
    assert "image tag" not in told


APP = "modelhost-app:aaaaaaaaaaaa"
RUN = """
import sys
from pathlib import Path
from modelhostctl.cli import main
from modelhostctl.host import registry
registry.SOCKET = Path(sys.argv[1])
sys.exit(main(sys.argv[2:]))
"""


def images(machine: Any) -> list[str]:
    found: list[str] = json.loads(machine.file("images").read_text())
    return found


def have(machine: Any, *names: str) -> None:
    machine.file("images").write_text(json.dumps(list(dict.fromkeys([*images(machine), *names]))))


@pytest.fixture
def killed(machine: Any, engine: Engine, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a step in a process that is killed when the engine has done its work; returns the name that it left."""

    def run(step: str, **options: Any) -> str:
        have(machine, APP)
        before = images(machine)
        given = {"settings": machine.settings.__dict__, "lock": token, **options}
        (tmp_path / "killed.json").write_text(json.dumps(given))
        words = [str(registry.SOCKET), step, "--options", str(tmp_path / "killed.json")]
        started = subprocess.Popen(
            [sys.executable, "-c", RUN, *words, "--root", str(machine.layout.root)], cwd=PROJECT, stdout=subprocess.PIPE
        )

        def work() -> None:
            if step == "pull":
                have(machine, REFERENCE)
            started.kill()
            started.wait()

        with monkeypatch.context() as during:
            during.setattr(engine, "work", work, raising=False)
            started.communicate(timeout=30)
        (left,) = [name for name in images(machine) if name not in before]
        return left

    return run


@pytest.mark.parametrize("then", ["pull", "pull another", "push", "prune"])
@pytest.mark.parametrize("first", ["pull", "push"])
def test_a_name_that_a_run_has_left_that_was_killed_is_forgotten_by_the_next(
    machine, run, token, engine, killed, first, then
):
    pulls = {"pulled": PULLED, "image": NAME}
    pushes = {"image": APP, "repository": REPOSITORY}
    left = killed(first, **(pulls if first == "pull" else pushes))
    assert left.startswith(f"{REPOSITORY}{'@' if first == 'pull' else ':'}")
    assert machine.layout.foreign_names.read_text() == f"{left}\n"
    engine.reports = [{"status": "Pushed"}, {"aux": {"Digest": DIGEST}}]
    if then == "prune":
        words = f"name {left}, which a run that was killed has left"
        assert words in run("prune", "--check", wanted=[APP])["removed"]
        assert left in images(machine)
        assert words in run("prune", wanted=[APP], lock=token)["removed"]
    elif then == "push":
        run("push", **pushes, lock=token)
    else:
        other = {"pulled": PULLED | {"reference": f"{REPOSITORY}@sha256:{'e' * 64}"}} if "another" in then else {}
        run("pull", **pulls | other, lock=token)
    assert left not in images(machine)
    assert not machine.layout.foreign_names.exists()


def test_a_name_that_was_there_before_is_its_owners(machine, run, token, engine):
    tag = f"{REPOSITORY}:{modelhostctl.__version__}-aaaaaaaaaaaa-{'b' * 12}"
    have(machine, REFERENCE, tag)
    run("pull", pulled=PULLED, image=NAME, lock=token)
    engine.reports = [{"status": "Pushed"}, {"aux": {"Digest": DIGEST}}]
    run("push", image=APP, repository=REPOSITORY, lock=token)
    assert {REFERENCE, NAME, tag} <= set(images(machine))
    assert not [line for line in names_told(machine) if line.startswith("image rm")]


def test_a_name_stays_written_down_where_the_engine_keeps_it(machine, run, token, engine, monkeypatch):
    """A container of somebody else's may have it."""
    monkeypatch.setattr(Docker, "forget_name", lambda *_: None)
    engine.work = lambda: have(machine, REFERENCE)
    assert run("pull", pulled=PULLED, image=NAME, lock=token)["changed"] is True
    assert machine.layout.foreign_names.read_text() == f"{REFERENCE}\n"


SAID = "no basic auth credentials"


@pytest.mark.parametrize(
    ("status", "reports"),
    [
        (500, [{"message": SAID}]),
        (200, [{"status": "Pulling"}, {"error": SAID}]),
        (200, [{"status": "Pulling"}, {"errorDetail": {"message": SAID}, "error": SAID}]),
        (200, [{"status": "Pulling"}, {"errorDetail": {"message": SAID}}]),
        (200, [{"errorDetail": SAID}]),
        (200, [{"errorDetail": {"code": 401, "said": SAID}}]),
    ],
)
def test_an_error_is_one_wherever_the_engine_reports_it(run, token, engine, status, reports):
    engine.status, engine.reports = status, reports
    result = run("pull", pulled=PULLED, image=NAME, lock=token)
    assert "registry.test:5000 lets no one in without an account" in result["msg"]


def test_an_engine_that_does_not_answer_is_told(run, token, engine, monkeypatch):
    engine.status, engine.reports = 503, []
    assert "the engine answers 503" in run("pull", pulled=PULLED, image=NAME, lock=token)["msg"]
    monkeypatch.setattr(registry, "SOCKET", Path("/no/such.sock"))
    assert "the engine did not answer on /no/such.sock" in run("pull", pulled=PULLED, image=NAME, lock=token)["msg"]


def test_a_password_is_no_part_of_what_a_login_shows():
    assert SECRET not in repr(Login("ci", SECRET))


def test_a_push_gives_the_reference_that_hosts_pull(machine, run, token, engine):
    engine.reports = [{"status": "Pushed"}, {"aux": {"Tag": "1", "Digest": DIGEST}}]
    given = {"image": "modelhost-app:aaaaaaaaaaaa", "repository": REPOSITORY, "username": "ci", "password": SECRET}
    result = run("push", **given, lock=token)
    assert (result["changed"], result["reference"]) == (True, REFERENCE)
    tag = f"{modelhostctl.__version__}-aaaaaaaaaaaa-{'b' * 12}"
    assert engine.asked[0][0] == f"/images/{REPOSITORY}/push?tag={tag}"
    assert f"image rm {REPOSITORY}:{tag}" in machine.file("log").read_text()
    engine.reports[0] = {"status": "Mounted from team/other"}
    assert run("push", **given, lock=token)["changed"] is True
    engine.reports[0] = {"status": "Layer already exists"}
    assert run("push", **given, lock=token)["changed"] is False
    engine.reports = [{"status": "Pushed"}]
    assert "did not say by which digest" in run("push", **given, lock=token)["msg"]
    assert run("push", "--check", **given, lock="")["progress"] == [f"would push {given['image']} to {REPOSITORY}"]


def test_what_is_built_anew_of_the_same_source_takes_no_tag_from_an_image_that_hosts_name(
    run, token, engine, monkeypatch
):
    engine.reports = [{"status": "Pushed"}, {"aux": {"Digest": DIGEST}}]
    for digit in "bbe":
        monkeypatch.setattr(Docker, "inspect_image", lambda *_, digit=digit: GOOD | {"Id": f"sha256:{digit * 64}"})
        run("push", image="modelhost-app:aaaaaaaaaaaa", repository=REPOSITORY, lock=token)
    first, again, other = [path for path, _ in engine.asked]
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "the option pulled is missing"),
        ({"pulled": {}}, "pulled.reference is None"),
        ({"pulled": PULLED | {"extras": "grpc"}}, "pulled.extras is 'grpc', and has to be of the kind list"),
        ({"pulled": PULLED | {"requirements": None}}, "pulled.requirements is None"),
        ({"pulled": {name: value for name, value in PULLED.items() if name != "source"}}, "pulled.source is None"),
        # The engine would pull every tag that there is.
        ({"pulled": PULLED | {"reference": REPOSITORY}}, "has to be repository@sha256:... in full"),
        ({"pulled": PULLED | {"reference": REFERENCE[:-1]}}, "has to be repository@sha256:... in full"),
    ],
)
def test_an_image_that_is_not_wholly_described_is_refused_in_words(run, token, engine, given, said):
    result = run("pull", image=NAME, lock=token, **given)
    assert said in result["msg"]
    assert result["code"] == 2
    assert engine.asked == []


def planned(machine: Any, run: Callable[..., dict[str, Any]], **given: Any) -> dict[str, Any]:
    wanted = release(image=NAME, bundles=machine.bundles)
    return run("plan", content=machine.content(wanted), pulled=PULLED, **given)


def test_the_plan_says_that_an_image_will_be_pulled(machine, run, engine):
    plan = planned(machine, run)
    assert "image: aaaaaaaaaaaa -> sha256-0123456789ab" in plan["lines"], "twelve digits are enough for people"
    assert f"the image is pulled from {REPOSITORY}" in plan["lines"]
    assert plan["image_present"] is False


def test_another_image_whose_digest_begins_alike_is_not_there(machine, run, engine):
    machine.file("images").write_text(json.dumps([machine.old.image, f"{NAME[:-1]}0"]))
    assert planned(machine, run)["image_present"] is False


def test_one_that_is_there_and_lacks_what_new_bundles_need_is_refused_in_the_plan(machine, run, engine, monkeypatch):
    machine.file("images").write_text(json.dumps([machine.old.image, NAME]))
    assert planned(machine, run)["image_present"] is True
    monkeypatch.setattr(Docker, "inspect_image", lambda *_: good(labels={image.EXTRAS_LABEL: "skops"}))
    assert "lacks the libraries that the bundles need: grpc" in planned(machine, run)["msg"]


@pytest.fixture
def authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the engine looks for CAs."""
    monkeypatch.setattr(registry_authorities, "FOLDER", tmp_path / "certs.d")
    return tmp_path / "certs.d"


def test_a_registrys_ca_is_laid_once_and_goes_with_the_registry(machine, run, token, engine, authorities):
    wanted = {"authorities": {"registry.test:5000": "PEM"}}
    file = authorities / "registry.test:5000" / "ca.crt"
    assert planned(machine, run, **wanted)["trusts_registry"] is False
    assert run("trust_registry", "--check", **wanted)["progress"] == [f"{file} written"]
    assert not file.exists()
    assert run("trust_registry", **wanted, lock=token)["changed"] is True
    assert file.read_text() == f"{registry_authorities.MARK}PEM\n"
    assert run("trust_registry", **wanted, lock=token)["changed"] is False
    assert planned(machine, run, **wanted)["trusts_registry"] is True
    other = {"authorities": {"other.test": "PEM"}}
    assert run("trust_registry", **other, lock=token)["progress"] == [
        f"{authorities}/other.test/ca.crt written", f"{file} removed"
    ]  # fmt: skip
    assert planned(machine, run)["trusts_registry"] is False
    assert run("trust_registry", authorities={}, lock=token)["changed"] is True
    assert list(authorities.iterdir()) == []
    assert planned(machine, run)["trusts_registry"] is True


def test_a_ca_that_somebody_else_has_put_there_stays(run, token, authorities):
    file = authorities / "registry.test:5000" / "ca.crt"
    file.parent.mkdir(parents=True)
    file.write_text("THEIRS\n")
    wanted = {"authorities": {"registry.test:5000": "PEM"}}
    assert f"{file} is there, with another CA" in run("trust_registry", **wanted, lock=token)["msg"]
    assert run("trust_registry", authorities={"registry.test:5000": "THEIRS"}, lock=token)["changed"] is False
    assert run("trust_registry", authorities={}, lock=token)["changed"] is False
    assert file.read_text() == "THEIRS\n"


def test_a_ca_that_is_no_text_is_refused(authorities: Path) -> None:
    with pytest.raises(StepError, match="is None, and has to be a text in PEM"):
        registry_authorities.changes({"registry.test": None})  # type: ignore[dict-item]


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a:b", "-x"])
def test_a_registry_that_is_no_name_makes_no_file(authorities: Path, name: str) -> None:
    with pytest.raises(StepError, match="is no registry"):
        registry_authorities.changes({name: "PEM"})


def test_what_was_left_of_a_ca_by_who_was_killed_goes_too(machine, run, token, authorities):
    wanted = {"authorities": {"registry.test:5000": "PEM"}}
    unfinished = authorities / "registry.test:5000" / ".ca.crt.unfinished"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_text("# Laid")
    assert run("trust_registry", authorities={}, lock=token)["progress"] == [f"{unfinished} removed"]
    assert list(authorities.iterdir()) == []
    run("trust_registry", **wanted, lock=token)
    unfinished.write_text("# Laid")
    run("trust_registry", **wanted, lock=token)
    assert [file.name for file in unfinished.parent.iterdir()] == ["ca.crt"]
    unfinished.write_text("# Laid")
    run("trust_registry", authorities={}, lock=token)
    assert list(authorities.iterdir()) == []


def test_destroying_finds_what_was_laid() -> None:
    tasks = (PROJECT / "roles/app_image/tasks/remove.yml").read_text()
    assert f"'{registry_authorities.MARK.strip()}' {registry_authorities.FOLDER}/*/ca.crt" in tasks
