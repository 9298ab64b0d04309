"""Whoever asks needs a key, which nginx alone sees; it comes and goes without a reload."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from keyed_clients import client
from proxied import ask, converge, deploy

pytestmark = pytest.mark.usefixtures("stand_in")
SHAPE = {"error", "field", "received", "expected", "example"}


ALICE, BOB = client("alice"), client("bob")
CLIENTS = [ALICE.as_variable(), BOB.as_variable(models=["iris", "digits"])]


@pytest.fixture(scope="module", autouse=True)
def keys(stand_in: None) -> Iterator[None]:
    deploy(reverse_proxy_clients=CLIENTS)
    yield
    deploy()


def basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"me:{key}".encode()).decode()


@pytest.mark.parametrize(
    "sent",
    [
        ALICE.bearer,
        {"X-API-Key": ALICE.key},
        {"Authorization": basic(ALICE.key)},
        {"authorization": f"bearer  {ALICE.key}"},
    ],
)
def test_a_key_opens_the_door_and_ends_there(sent):
    answer = ask("/models/iris/predict", b"{}", sent=sent)
    assert answer.status == 200
    headers = answer.told["headers"]
    assert headers["x-modelhost-client"] == "alice"
    assert not {"authorization", "x-api-key"} & set(headers)
    assert ALICE.key not in answer.body.decode()


WRONG = f"mh_{'A' * 43}"
NEEDED, UNKNOWN = "A key is needed here.", "This key is not known here, or not any more."
NO_KEY, NO_FORM = "What was sent is no key", "The header Authorization has another form"


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"Authorization": f"Bearer {WRONG}"},
        {"X-API-Key": ALICE.key[:-1]},
        {"X-API-Key": f"{ALICE.key}="},
        {"X-API-Key": f"{ALICE.key}, {ALICE.key}"},
        {"X-API-Key": hashlib.sha256(ALICE.key.encode()).hexdigest()},
        {"X-API-Key": "../" + hashlib.sha256(ALICE.key.encode()).hexdigest()},
        {"X-API-Key": ""},
        {"Authorization": "Bearer"},
        {"Authorization": f"Token {ALICE.key}"},
        {"Authorization": "Basic !!!"},
        {"Authorization": basic("")},
        # A wrong key is not made good by a right one elsewhere.
        {"Authorization": f"Bearer {WRONG}", "X-API-Key": ALICE.key},
        {"X-Modelhost-Client": "alice"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Cookie": f"key={ALICE.key}"},
    ],
)
@pytest.mark.parametrize(
    "path", ["/", "/models/iris/predict", "/docs", "/openapi.json", "/healthz/../docs", "/models?key=x"]
)
def test_without_a_right_key_nothing_is_asked_of_the_app(sent, path):
    answer = ask(path, b"{}", sent=sent)
    assert answer.status == 401
    assert set(answer.told) == SHAPE
    assert "X-API-Key" in answer.told["error"]
    assert answer.headers["www-authenticate"] == 'Bearer realm="modelhost"'
    assert "asked" not in answer.headers


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, NEEDED),
        ({"X-API-Key": ""}, NEEDED),
        ({"Authorization": f"Bearer {WRONG}"}, UNKNOWN),
        ({"X-API-Key": WRONG}, UNKNOWN),
        ({"Authorization": basic(WRONG)}, UNKNOWN),
        ({"X-API-Key": ALICE.key[:-1]}, NO_KEY),
        ({"Authorization": f"Bearer {hashlib.sha256(ALICE.key.encode()).hexdigest()}"}, NO_KEY),
        ({"Authorization": ALICE.key}, NO_FORM),
        ({"Authorization": f"Token {ALICE.key}"}, NO_FORM),
        ({"Authorization": "Bearer"}, NO_FORM),
    ],
)
def test_a_refusal_says_what_is_wrong_and_not_which_keys_there_are(sent, said):
    answer = ask("/models/iris/predict", b"{}", sent=sent)
    assert answer.status == 401
    assert answer.told["error"].startswith(said)
    assert "mh_" not in answer.told["error"].replace("with mh_", "")


@pytest.mark.parametrize(
    ("sent", "path", "status"), [({}, "/models/iris/predict", 401), (BOB.bearer, "/models/colours/predict", 403)]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
def test_what_is_refused_is_logged_by_the_method_that_was_sent(sent, path, status, method, mark, logged):
    assert ask(path, b"{}", method=method, sent={**sent, "X-Request-ID": mark}).status == status
    line = logged(mark)
    assert (line["method"], line["status"], line["uri"]) == (method, status, path)


def test_a_browser_asks_its_user():
    answer = ask("/docs", sent={"Accept": "text/html,application/xhtml+xml"})
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith('Basic realm="modelhost')


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/readyz/", "/ping", "/health", "/v2/health/live", "/v2/health/ready"]
)
def test_whether_it_is_well_is_told_to_balancers_without_a_key(path):
    assert ask(path).status == 200


@pytest.mark.parametrize(
    "path", ["/.errors/401", "/.errors/500", "/healthzz", "/v2/health", "/healthz/x", "/x/healthz"]
)
def test_nothing_that_looks_like_that_is_open(path):
    assert ask(path).status in {401, 404}
    assert "asked" not in ask(path).headers


def test_the_machine_itself_needs_no_key(machine):
    told = json.loads(machine("curl -s http://127.0.0.1/models/iris/predict -d '{}'"))
    assert told["headers"]["x-modelhost-client"] == "localhost"


def test_the_log_names_the_client_and_never_the_key(machine, mark, logged):
    assert ask("/", b"{}", sent={**ALICE.bearer, "X-Request-ID": mark}).status == 200
    assert logged(mark)["client_name"] == "alice"
    log = machine(
        "docker logs modelhost-proxy 2>&1; journalctl --no-pager; ps axww; cat /srv/modelhost/proxy/conf/clients/*"
    )
    assert ALICE.key not in log
    assert BOB.key not in log


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/models/iris/predict", b"{}", 200),
        ("/models/digits/versions/1/predict", b"{}", 200),
        ("/v1/models/iris:predict", b"{}", 200),
        ("/v2/models/iris/infer", b"{}", 200),
        ("/models/iris", None, 200),
        ("/v2", None, 200),
        ("/v2/models/iris", None, 200),
        ("/models/iris/example", None, 200),
        # What tells of all models.
        ("/models", None, 403),
        ("/models/", None, 403),
        ("/openapi.json", None, 403),
        ("/docs", None, 403),
        ("/", None, 403),
        ("/v2/models/stats", None, 403),
        ("/models/colours/predict", b"{}", 403),
        ("/models/iris2/predict", b"{}", 403),
        ("/v1/models/colours:predict", b"{}", 403),
        ("/v1/models/colours/versions/1:predict", b"{}", 403),
        ("/v2/models/colours/infer", b"{}", 403),
        ("/models/colours", None, 403),
        ("/models/col%6furs/predict", b"{}", 403),
        ("/models/iris/../colours/predict", b"{}", 403),
        ("/models/iris/%2e%2e/colours/predict", b"{}", 403),
        ("//models//colours/predict", b"{}", 403),
        ("/models%2Fcolours%2Fpredict", b"{}", 403),
        # By the default's own path it is not told which model it is.
        ("/", b"{}", 403),
        ("/invocations", b"{}", 403),
        ("/v2/repository/index", b"{}", 403),
    ],
)
def test_a_client_may_ask_its_models_alone(path, body, status):
    answer = ask(path, body, sent=BOB.bearer)
    assert answer.status == status
    assert ("asked" in answer.headers) == (status == 200)
    if status == 403:
        assert "iris, digits" in answer.told["error"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "X"])
def test_no_other_method_is_a_way_around(method):
    assert ask("/", b"{}", method=method, sent=BOB.bearer).status in {403, 405}


def reloads(machine) -> str:
    """The workers of nginx, which a reload replaces."""
    return machine("pgrep --parent $(pgrep --oldest --exact nginx)")


def test_a_key_is_replaced_and_taken_away_without_a_reload_or_a_lost_request(machine):
    new = client("alice")
    both = ALICE.as_variable() | {"sha256": [*ALICE.as_variable()["sha256"], *new.as_variable()["sha256"]]}
    before = reloads(machine)
    statuses: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        stop = time.monotonic() + 600
        going = [True]

        def load() -> None:
            while going[0] and time.monotonic() < stop:
                statuses.append(ask("/models/iris/predict", b"{}", sent=BOB.bearer).status)

        loading = pool.submit(load)
        try:
            deploy(reverse_proxy_clients=[both, *CLIENTS[1:]])
            assert ask(sent=ALICE.bearer).status == ask(sent=new.bearer).status == 200
            deploy(reverse_proxy_clients=[new.as_variable(), *CLIENTS[1:]])
            assert ask(sent=ALICE.bearer).status == 401
            assert ask(sent=new.bearer).status == 200
            deploy(reverse_proxy_clients=CLIENTS)
            assert ask(sent=ALICE.bearer).status == 200
            assert ask(sent=new.bearer).status == 401
        finally:
            going[0] = False
        loading.result()
    assert set(statuses) == {200}
    assert len(statuses) > 100
    assert reloads(machine) == before


def test_a_second_run_changes_nothing_and_a_check_tells_of_a_key():
    assert "changed=0" in converge(reverse_proxy_clients=CLIENTS).stdout
    run = converge("--check", reverse_proxy_clients=CLIENTS[1:])
    assert "changed=1 " in run.stdout, run.stdout
    assert ask(sent=ALICE.bearer).status == 200


@pytest.mark.parametrize(
    ("clients", "said"),
    [
        ([{"name": "Alice", "sha256": ["0" * 64]}], "whose names have small letters"),
        ([{"name": "localhost", "sha256": ["0" * 64]}], "without localhost"),
        ([{"name": "alice"}, {"name": "alice"}], "without two clients of one name"),
        ([{"name": "alice", "sha256": [ALICE.key]}], "the SHA-256 of their own keys"),
        ([{"name": "alice", "sha256": ["0" * 64]}, {"name": "bob", "sha256": ["0" * 64]}], "of their own keys"),
        ([{"name": "alice", "models": ["iris; return 200"]}], "names of models"),
        ([{"name": "alice", "requests_per_second": -1}], "limits are 0 (none) or more"),
    ],
)
def test_a_wrong_client_is_refused(clients, said):
    run = converge(reverse_proxy_clients=clients)
    assert run.returncode != 0
    assert said in " ".join(run.stdout.split())
