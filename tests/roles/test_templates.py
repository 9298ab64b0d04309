"""What the roles' templates become, judged by the programs that will read it."""

import dataclasses
import hashlib
import json
import re
import shlex
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError
from modelhost.payload.trace_context import TRACEPARENT
from rendering import HOST, PROJECT, ROLES, Read, evaluate, load, render

from modelhostctl.host.mirror import PREDICTION
from modelhostctl.store.release import Release
from modelhostctl.store.settings import Settings

TEMPLATES = [
    (role, str(path.relative_to(PROJECT / "roles" / role / "templates")))
    for role in ROLES
    for path in sorted((PROJECT / "roles" / role / "templates").rglob("*.j2"))
]
# What other templates include.
PARTS = [template for _, template in TEMPLATES if template.startswith(("etc/nginx/conf.d/", "etc/nginx/server.d/"))]
TEMPLATES = [(role, template) for role, template in TEMPLATES if template not in PARTS]
COMPOSE_FILES = [(role, template) for role, template in TEMPLATES if template.endswith("compose.yml.j2")]


@pytest.mark.parametrize(("role", "template"), TEMPLATES)
def test_every_template_renders_from_the_defaults(role, template):
    assert render(role, template).strip()


@pytest.mark.parametrize(("role", "template"), [pair for pair in TEMPLATES if not pair[1].endswith(".json.j2")])
def test_every_template_says_who_wrote_it(role, template):
    assert "Ansible managed" in "".join(render(role, template).splitlines()[:3])


def test_an_undefined_variable_fails_and_is_named():
    with pytest.raises(AnsibleError, match="no_such_variable"):
        render("reverse_proxy", "etc/nginx/nginx.conf.j2", reverse_proxy_server_names="{{ no_such_variable }}")


CLIENTS = (PROJECT / "roles" / "reverse_proxy" / "files" / "clients.js").read_text()
NGINX = "cat > /tmp/nginx.conf && nginx -t -q -c /tmp/nginx.conf"
NGINX = f"printf %s {shlex.quote(CLIENTS)} > /etc/nginx/clients.js && {NGINX}"
ALICE = {"name": "alice", "sha256": ["0" * 64], "requests_per_second": 20, "models": ["iris"]}
BOB = {"name": "bob", "sha256": ["1" * 64, "2" * 64], "requests_per_second": 20, "burst": 5, "connections": 4}


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"reverse_proxy_http_port": 8080, "reverse_proxy_server_names": ["models.example.org", "*.example.org"]},
        {"ansible_facts": {"all_ipv6_addresses": [], "processor_nproc": 2}},
        {"reverse_proxy_body_limit_mb": 1024, "reverse_proxy_timeout_seconds": 3605},
        {"reverse_proxy_metrics_allow": ["10.0.0.5", "192.168.0.0/16", "fd00:1::/64"]},
        {"reverse_proxy_cache_mb": 8},
        {"reverse_proxy_cache_mb": 4096},
        {"release_canary_percent": 1},
        {"release_canary_percent": "99", "release_canary_key_header": "X-User-Id"},  # as -e gives it
        {"release_canary_percent": 10, "reverse_proxy_cache_mb": 8, "release_shadow": True},
        {"release_shadow": "true"},
        {"reverse_proxy_clients": [{"name": "carol"}]},
        {"reverse_proxy_clients": [ALICE, BOB], "release_default_model": "iris"},
        {
            "reverse_proxy_clients": [BOB],
            "release_canary_percent": 10,
            "reverse_proxy_cache_mb": 8,
            "release_shadow": True,
        },
        {"reverse_proxy_cors_origins": ["https://app.example.org", "*"], "reverse_proxy_clients": [ALICE]},
        {"reverse_proxy_trusted_proxies": ["10.0.0.2", "fd00:1::/64"]},
        {"reverse_proxy_address_requests_per_second": 0, "reverse_proxy_address_connections": "0"},
        {"release_grpc": True},
        {"release_grpc": "true", "reverse_proxy_tls": "off", "release_replicas": "2"},
        {
            "release_grpc": True,
            "release_canary_percent": 10,
            "release_shadow": True,
            "reverse_proxy_cache_mb": 8,
            "reverse_proxy_clients": [ALICE, BOB],
            "reverse_proxy_cors_origins": ["*"],
        },
    ],
)
def test_nginx_accepts_its_configuration(overrides, read):
    result = read(render("reverse_proxy", "etc/nginx/nginx.conf.j2", **overrides), NGINX)
    assert result.returncode == 0, result.stderr


def test_every_part_of_nginxs_configuration_is_in_it_where_it_is_wanted():
    everything = {
        "release_canary_percent": 10,
        "reverse_proxy_cache_mb": 8,
        "release_shadow": True,
        "release_grpc": True,
        "reverse_proxy_clients": [ALICE],
        "reverse_proxy_cors_origins": ["*"],
    }
    in_http = evaluate("reverse_proxy", "{{ __reverse_proxy_parts | join(' ') }}", **everything).split()
    in_server = evaluate("reverse_proxy", "{{ __reverse_proxy_server_parts | join(' ') }}", **everything).split()
    named = [f"conf.d/{part}" for part in in_http] + [f"server.d/{part}" for part in in_server]
    assert sorted(f"etc/nginx/{part}.conf.j2" for part in named) == PARTS


@pytest.mark.parametrize(
    ("overrides", "port"),
    [
        ({}, ""),
        ({"reverse_proxy_https_port": 8443}, ":8443"),
        ({"reverse_proxy_public_https_port": "44907"}, ":44907"),
        ({"reverse_proxy_https_port": 8443, "reverse_proxy_public_https_port": 443}, ""),
    ],
)
def test_plain_http_is_led_to_the_port_at_which_clients_reach_the_host(overrides, port):
    nginx = render("reverse_proxy", "etc/nginx/nginx.conf.j2", **overrides)
    assert f"return 308 https://$host{port}$request_uri;" in nginx
    listened = overrides.get("reverse_proxy_https_port", 443)
    assert f"listen {listened} ssl" in nginx
    named = evaluate("reverse_proxy", "{{ __reverse_proxy_url }}", ansible_host="192.0.2.1", **overrides)
    assert named.partition("//")[2].rstrip("/").partition(":")[1:] == ((":", port[1:]) if port else ("", ""))


def test_nothing_of_grpc_is_in_it_by_default():
    assert "grpc" not in render("reverse_proxy", "etc/nginx/nginx.conf.j2").lower()


@pytest.mark.parametrize(
    ("workers", "replicas", "ends"),
    [(0, 1, ["grpc.sock.0", "grpc.sock.7"]), (12, 1, ["grpc.sock.0", "grpc.sock.11"]),
     ("3", "2", ["grpc.sock.0", "grpc-2.sock.7"])],
)  # fmt: skip
def test_nginx_knows_the_sockets_of_every_worker(workers, replicas, ends):
    overrides = {"release_grpc": True, "release_workers": workers, "release_replicas": replicas}
    told = render("reverse_proxy", "etc/nginx/nginx.conf.j2", **overrides)
    sockets = re.findall(r"server unix:/run/modelhost/active/(grpc\S+) ", told)
    assert len(sockets) == max(8, int(workers)) * int(replicas)
    assert [sockets[0], sockets[-1]] == ends


def test_a_stream_is_no_body_whose_size_is_limited():
    """All that is asked in it is one body: the app has a limit for each message."""
    told = render("reverse_proxy", "etc/nginx/nginx.conf.j2", release_grpc=True)
    (stream,) = re.findall(r"location = \S+/ModelStreamInfer \{(.*?)\}", told, re.DOTALL)
    assert "client_max_body_size 0;" in stream
    (call,) = re.findall(r"location \^~ /inference.GRPCInferenceService/ \{(.*?)\}", told, re.DOTALL)
    assert "client_max_body_size" not in call


def test_what_is_for_operators_over_http_is_for_them_over_grpc():
    told = render("reverse_proxy", "etc/nginx/nginx.conf.j2", release_grpc=True)
    guarded = re.findall(r"location = \S+GRPCInferenceService/(\w+) \{\s+if \(\$may_operate = 0\)", told)
    assert guarded == ["RepositoryModelLoad", "RepositoryModelUnload", "ModelStatistics"]


def test_each_error_that_a_call_can_come_to_has_a_status_of_grpc_as_the_app_has_it():
    vars_ = load("reverse_proxy", "vars/main.yml")
    ours, logged = vars_["__reverse_proxy_grpc_statuses"], vars_["__reverse_proxy_grpc_logged"]
    # Those of nginx alone, before it knows that it is a call.
    assert set(vars_["__reverse_proxy_errors"]) - set(ours) == {400, 415, 431, 497, 501, 505}
    assert set(ours.values()) <= set(logged)
    assert {logged[status] >= 500 for code, status in ours.items() if code >= 500} == {True}
    source = (PROJECT / "app/modelhost/protocols/v2_grpc/statuses.py").read_text()
    names = dict(re.findall(r"(\d{3}): StatusCode\.([A-Z_]+)", source))
    numbers = {
        "PERMISSION_DENIED": 7,
        "RESOURCE_EXHAUSTED": 8,
        "INTERNAL": 13,
        "UNAVAILABLE": 14,
        "DEADLINE_EXCEEDED": 4,
    }
    both = {int(code): numbers[name] for code, name in names.items() if int(code) in ours and name in numbers}
    assert both.keys() == {403, 413, 500, 503, 504}
    assert both.items() <= ours.items()


def test_nginx_would_refuse_a_wrong_one(read):
    wrong = render("reverse_proxy", "etc/nginx/nginx.conf.j2").replace("keepalive 32", "keepalive many")
    assert "invalid" in read(wrong, NGINX).stderr


def test_nginx_listens_on_ipv6_only_where_the_host_has_it():
    assert "listen [::]:80" in render("reverse_proxy", "etc/nginx/nginx.conf.j2")
    facts = {"all_ipv6_addresses": [], "processor_nproc": 2}
    without = render("reverse_proxy", "etc/nginx/nginx.conf.j2", ansible_facts=facts)
    assert "listen [::]" not in without


def services(read: Read, role: str, template: str, release: str = "0123456789ab", **overrides: Any) -> dict[str, Any]:
    """Let the real compose read a file, and return the services it finds."""
    result = read(
        render(role, template, **overrides),
        f"COLOUR=blue RELEASE={release} MEMORY_LIMIT_MB=614 docker compose --file - config --format json",
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)["services"]
    return found


def compose(*arguments: Any, **overrides: Any) -> dict[str, Any]:
    """The one service of a compose file, likewise."""
    (service,) = services(*arguments, **overrides).values()
    return service


def test_nothing_is_cached_unless_somebody_asks_for_it():
    assert "cache_path" not in render("reverse_proxy", "etc/nginx/nginx.conf.j2")
    assert "cache_path" in render("reverse_proxy", "etc/nginx/nginx.conf.j2", reverse_proxy_cache_mb=8)


def test_nginx_shares_out_and_mirrors_only_where_that_is_wanted():
    text = render("reverse_proxy", "etc/nginx/nginx.conf.j2", reverse_proxy_cache_mb=8)
    assert not [word for word in ("canary", "shadow", "mirror", "$to", "$link") if word in text]
    off = {
        "release_canary_percent": "0",
        "release_canary_key_header": "X-User-Id",
        "release_shadow": "no",
    }
    assert render("reverse_proxy", "etc/nginx/nginx.conf.j2", reverse_proxy_cache_mb=8, **off) == text


def test_nginx_takes_the_same_for_a_prediction_as_the_tool_on_the_host():
    text = render("reverse_proxy", "etc/nginx/nginx.conf.j2", release_shadow=True)
    assert f'"~^{PREDICTION.pattern}$" 1;' in text


def test_nginx_takes_the_same_for_a_trace_as_the_app():
    assert f'"~{TRACEPARENT.pattern}" $trace;' in render("reverse_proxy", "etc/nginx/nginx.conf.j2")


# An app that answers with the headers it got, and what nginx logs of that.
TRACED = """
mkdir -p /run/modelhost/active
cat > /tmp/nginx.conf
cat > /tmp/app.conf <<'END'
pid /tmp/app.pid;
error_log /tmp/app.log;
events {}
http {
    access_log off;
    server { listen unix:/run/modelhost/active/server.sock; return 200 "$http_traceparent $http_tracestate\\n"; }
}
END
nginx -c /tmp/app.conf
chmod 777 /run/modelhost/active/server.sock
: > /var/log/nginx/access.log
nginx -c /tmp/nginx.conf
ask() {
    exec 3<>/dev/tcp/127.0.0.1/80
    printf 'GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n%stracestate: a=1,b=2\\r\\n\\r\\n' "$1" >&3
    cat <&3 | tail -n 1
}
"""
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENTS = [
    (f"00-{TRACE}-b7ad6b7169203331-01", TRACE),
    (f"cc-{TRACE}-b7ad6b7169203331-01-later", TRACE),
    (f"00-{TRACE}-b7ad6b7169203331-01-later", ""),
    (f"ff-{TRACE}-b7ad6b7169203331-01", ""),
    (f"00-{'0' * 32}-b7ad6b7169203331-01", ""),
    (f"00-{TRACE}-{'0' * 16}-01", ""),
    ('a"b\\x', ""),
]


def test_nginx_logs_the_trace_and_passes_its_headers_on_as_they_came(read):
    asked = "\n".join(f"ask $'traceparent: '{shlex.quote(sent)}$'\\r\\n'" for sent, _ in TRACEPARENTS)
    ended = "nginx -s stop -c /tmp/nginx.conf; nginx -s stop -c /tmp/app.conf"
    script = f"{TRACED}{asked}\nask ''\nsleep 1.5; cat /var/log/nginx/access.log; {ended}"
    result = read(render("reverse_proxy", "etc/nginx/nginx.conf.j2"), f"bash -c {shlex.quote(script)}")
    lines = result.stdout.splitlines()
    passed, logged = lines[: len(lines) // 2], [json.loads(line) for line in lines[len(lines) // 2 :]]
    assert passed == [*(f"{sent} a=1,b=2" for sent, _ in TRACEPARENTS), " a=1,b=2"], result.stderr
    assert [line["trace_id"] for line in logged] == [*(trace for _, trace in TRACEPARENTS), ""]


REFUSED = """
ask() {
    exec 3<>/dev/tcp/127.0.0.1/80
    printf '%s HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\nContent-Length: 2\\r\\n%s\\r\\n{}' "$1" "$2" >&3
    cat <&3 | tail -n 1
}
cat > /tmp/nginx.conf
: > /var/log/nginx/access.log
nginx -c /tmp/nginx.conf
"""


def refusals(read, asked: list[tuple[str, str]], **overrides: object) -> tuple[list[str], list[dict]]:
    """What nginx answers, alone, to requests with a header each, and what it logs of them."""
    lines = "\n".join(f"ask {shlex.quote(request)} $'{header}\\r\\n'" for request, header in asked)
    # The log is written a second later, or more where the machine has much to do.
    written = (
        f"for _ in $(seq 100); do [ $(wc -l < /var/log/nginx/access.log) = {len(asked)} ] && break; sleep 0.1; done"
    )
    script = f"{REFUSED}{lines}\n{written}; cat /var/log/nginx/access.log; nginx -s stop -c /tmp/nginx.conf"
    clients = f"printf %s {shlex.quote(CLIENTS)} > /etc/nginx/clients.js"
    result = read(render("reverse_proxy", "etc/nginx/nginx.conf.j2", **overrides),
                  f"{clients} && bash -c {shlex.quote(script)}")  # fmt: skip
    told = result.stdout.splitlines()
    assert len(told) == 2 * len(asked), result.stdout + result.stderr
    return [json.loads(line)["error"] for line in told[: len(asked)]], [json.loads(line) for line in told[len(asked) :]]


def test_nginx_logs_the_method_of_what_it_refuses_itself(read):
    methods = ["POST", "PUT", "DELETE", "GET"]
    _, logged = refusals(read, [(f"{method} /models/iris/predict", "X-A: b") for method in methods])
    assert [(line["method"], line["status"]) for line in logged] == [(method, 502) for method in methods]


def test_nginx_says_what_is_wrong_with_a_key(read):
    key = f"mh_{'A' * 43}"
    sent = {
        "X-A: b": "A key is needed here.",
        "X-API-Key: ": "A key is needed here.",
        f"X-API-Key: {key}": "This key is not known here, or not any more.",
        f"Authorization: Bearer {key}": "This key is not known here, or not any more.",
        f"Authorization: {key}": "The header Authorization has another form",
        f"Authorization: Token {key}": "The header Authorization has another form",
        "Authorization: Bearer secret": "What was sent is no key",
    }
    # The machine itself needs no key: so it asks as a proxy on it does for others.
    asked = [("POST /models/iris/predict", f"{header}\\r\\nX-Forwarded-For: 192.0.2.1") for header in sent]
    variables = {"reverse_proxy_clients": [ALICE, BOB], "reverse_proxy_trusted_proxies": ["127.0.0.1"]}
    told, logged = refusals(read, asked, **variables)
    assert [sentence[: len(begin)] for sentence, begin in zip(told, sent.values(), strict=True)] == list(sent.values())
    assert {(line["method"], line["status"]) for line in logged} == {("POST", 401)}
    assert key not in str(logged)


def test_a_key_for_some_models_reads_nothing_that_tells_of_all(read):
    # Another one than is not known above.
    key = f"mh_{'B' * 43}"
    # 502: nginx would ask the app, which is not there.
    paths = {"/models/iris": 502, "/models/iris/example": 502, "/v2/models/iris": 502, "/v2": 502} | dict.fromkeys(
        ["/models", "/models/", "/openapi.json", "/docs", "/", "/models/digits", "/v2/models/stats", "/none"], 403
    )
    asked = [(f"GET {path}", f"X-API-Key: {key}\\r\\nX-Forwarded-For: 192.0.2.1") for path in paths]
    folder, name = "/etc/nginx/clients", hashlib.sha256(key.encode()).hexdigest()
    assert read("", f"mkdir -p {folder} && printf alice > {folder}/{name}").returncode == 0
    variables = {"reverse_proxy_clients": [ALICE | {"requests_per_second": 0}]}
    _, logged = refusals(read, asked, **variables, reverse_proxy_trusted_proxies=["127.0.0.1"])
    assert {line["uri"]: line["status"] for line in logged} == paths
    assert {line["client_name"] for line in logged} == {"alice"}


# Both the app and whoever is mirrored to, in one, which logs what it is asked.
BEHIND = """
mkdir -p /run/modelhost/active /run/modelhost/shadow
cat > /tmp/nginx.conf
cat > /tmp/behind.conf <<'END'
pid /tmp/behind.pid;
error_log /tmp/behind.log;
events {}
http {
    log_format asked '$server_name $request';
    access_log /tmp/asked asked;
    server { server_name live; listen unix:/run/modelhost/active/server.sock; return 200; }
    server { server_name shadow; listen unix:/run/modelhost/shadow/server.sock; return 204; }
}
END
nginx -c /tmp/behind.conf
chmod 777 /run/modelhost/*/server.sock
nginx -c /tmp/nginx.conf
ask() {
    exec 3<>/dev/tcp/127.0.0.1/80
    printf '%s HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\nContent-Length: 2\\r\\n\\r\\n{}' "$1" >&3
    cat <&3 >/dev/null
}
"""
MIRRORED = ["POST /", "POST /models/iris/versions/2/predict?a=b", "POST /v2/models/a-b_1/infer", "POST /invocations"]
NOT_MIRRORED = [
    "GET /models/iris/predict",
    "PUT /",
    "POST /v1.43/containers/create?name=pwn",
    "POST /v2/repository/models/iris/unload",
    "POST /models/iris/predict/../../../containers/create",
    "POST /models/../containers/create?/predict",
    "POST /containers/create?/models/iris/predict",
    "POST /models/iris%2f/predict",
]


def test_nginx_mirrors_predictions_and_nothing_else_that_a_client_sends(read):
    text = render("reverse_proxy", "etc/nginx/nginx.conf.j2", release_shadow=True)
    asked = "\n".join(f"ask '{line}'" for line in [*MIRRORED, *NOT_MIRRORED])
    script = f"{BEHIND}{asked}\nsleep 0.5; cat /tmp/asked"
    found = read(text, f"bash -ec {shlex.quote(script)}")
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    asked_of = {name: [line for line in lines if line.startswith(f"{name} ")] for name in ("live", "shadow")}
    assert len(asked_of["live"]) == len(MIRRORED) + len(NOT_MIRRORED)
    assert asked_of["shadow"] == [f"shadow {line} HTTP/1.1" for line in MIRRORED]


def test_a_canarys_answers_are_cached_under_the_canarys_way():
    on = {"reverse_proxy_cache_mb": 8, "release_canary_percent": 10}
    text = render("reverse_proxy", "etc/nginx/nginx.conf.j2", **on)
    assert "root /run/modelhost/$link;" in text
    assert "root /run/modelhost/active;" not in text


def test_a_plan_tells_how_a_release_will_be_tried():
    assert settings().trials == []
    tried = settings(release_canary_percent="10", release_shadow="true")
    assert tried.trials == ["answers in shadow for 60 s", "canary: 10 % of the requests for 60 s"]


def test_the_release_tool_is_given_every_setting_that_it_has_and_the_roles_defaults_are_its_own():
    given = json.loads(evaluate("release", "{{ __release_settings | to_json }}"))
    assert set(given) == {field.name for field in dataclasses.fields(Settings)}
    assert settings() == Settings(url="http://127.0.0.1:80")


def settings(**variables: Any) -> Settings:
    return Settings.of(json.loads(evaluate("release", "{{ __release_settings | to_json }}", **variables)))


@pytest.mark.parametrize(("role", "template"), COMPOSE_FILES)
def test_no_container_publishes_a_port_or_has_more_rights_than_it_needs(role, template, read):
    service = compose(read, role, template)
    assert "ports" not in service
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(str(service["user"]).split(":")[0]) >= 10000
    assert service["pids_limit"] > 0
    assert service["mem_limit"]
    assert service["healthcheck"]["test"]
    assert service["logging"]["options"]["max-size"]
    assert service["restart"] == "unless-stopped"


def test_the_cache_has_memory_of_its_own(read):
    def sizes(**overrides: Any) -> tuple[int, str]:
        service = compose(read, "reverse_proxy", "srv/modelhost/proxy/compose.yml.j2", **overrides)
        return int(service["mem_limit"]) // 1024**2, service["tmpfs"][0].rpartition("size=")[2]

    assert sizes() == (416, "128m")
    assert sizes(reverse_proxy_cache_mb=100) == (772, "228m")  # with a process for each of two cores


@pytest.mark.parametrize("limit", [1, 4, 33, 100, 1024])
def test_no_client_fills_the_room_for_bodies(limit):
    def number(name: str) -> int:
        return int(evaluate("reverse_proxy", "{{ " + name + " }}", reverse_proxy_body_limit_mb=limit))

    sizes = [number(f"__reverse_proxy_bodies_at_once.{size}") for size in ("middling", "large")]
    assert min(sizes) >= 1
    assert sizes[0] * 1 + sizes[1] * limit <= number("__reverse_proxy_room_for_bodies_mb") * 7 / 8


@pytest.mark.parametrize(
    "release", ["001234567e89", "0123456789ab"]
)  # the first is one that YAML would take for a number
def test_the_app_answers_with_its_release_and_its_socket_is_called_by_it(read, release):
    app = compose(read, "release", "srv/modelhost/releases/release/compose.yml.j2", release=release)
    assert app["environment"]["MODELHOST_RELEASE"] == release
    assert app["labels"]["modelhost.release"] == release
    assert app["environment"]["MODELHOST_BIND"] == f"unix:/run/modelhost/blue-{release}/server.sock"
    assert app["volumes"][0]["source"] == f"/srv/modelhost/run/blue-{release}"


def test_the_app_may_open_the_pickles_that_the_deployment_names(read):
    def allowed(**overrides: Any) -> str:
        app = compose(read, "release", "srv/modelhost/releases/release/compose.yml.j2", **overrides)
        return app["environment"]["MODELHOST_ALLOW_PICKLE"]

    assert allowed() == ""
    assert allowed(release_allow_pickle=["fraud", "churn"]) == "churn,fraud"


def test_replicas_differ_by_their_names_alone(read):
    file = "srv/modelhost/releases/release/compose.yml.j2"
    alone = compose(read, "release", file)
    found = services(read, "release", file, release_replicas="2")  # a text, as -e makes it
    first, second = found["app"], found["app-2"]
    assert second["container_name"] == first["container_name"] + "-2" == alone["container_name"] + "-2"
    assert second["environment"].pop("MODELHOST_BIND") == "unix:/run/modelhost/blue-0123456789ab/server-2.sock"
    assert first["environment"].pop("MODELHOST_BIND") == alone["environment"].pop("MODELHOST_BIND")
    assert alone["environment"].pop("MODELHOST_REPLICAS") == "1"
    assert first["environment"].pop("MODELHOST_REPLICAS") == second["environment"].pop("MODELHOST_REPLICAS") == "2"
    del first["container_name"], second["container_name"]
    assert first == second
    del alone["container_name"]
    assert first == alone


def test_grpc_has_sockets_beside_those_of_http_where_it_is_wanted():
    def binds(**overrides: Any) -> list[tuple[str, str | None]]:
        text = render("release", "srv/modelhost/releases/release/compose.yml.j2", **overrides)
        found = [service["environment"] for service in yaml.safe_load(text)["services"].values()]
        return [(each["MODELHOST_BIND"], each.get("MODELHOST_GRPC_BIND")) for each in found]

    folder = "unix:/run/modelhost/${COLOUR:?}-${RELEASE:?}/"
    assert binds() == binds(release_grpc="false") == [(folder + "server.sock", None)]
    assert binds(release_grpc="true", release_replicas=2) == [
        (folder + "server.sock", folder + "grpc.sock"),
        (folder + "server-2.sock", folder + "grpc-2.sock"),
    ]


def test_nginx_tries_a_request_twice_whatever_the_number_of_replicas():
    alone, both = (render("reverse_proxy", "etc/nginx/nginx.conf.j2", release_replicas=count) for count in (1, 2))
    assert alone == both, "another number of replicas takes no reload"
    assert both.count("server unix:/run/modelhost/active/") == 2
    assert "proxy_next_upstream_tries 2;" in both


def test_the_app_has_no_network_and_reads_its_bundles_only(read):
    service = compose(read, "release", "srv/modelhost/releases/release/compose.yml.j2")
    assert service["network_mode"] == "none"
    text = render("release", "srv/modelhost/releases/release/compose.yml.j2")
    assert "/srv/modelhost/bundles/iris/1-bbbbbbbbbbbb:/models/iris/1:ro" in text


def test_compose_takes_what_models_are_given(read):
    given = {
        "release_environment": {"GREETING": 'a "$b": # ü', "NO": "1"},
        "release_secrets": {"db": "s3cr3t"},
        "release_volumes": [{"source": "/srv/weights $1", "target": "/weights"}],
    }
    app = compose(read, "release", "srv/modelhost/releases/release/compose.yml.j2", **given)
    # Some versions print $ as $$.
    found = {name: app["environment"][name].replace("$$", "$") for name in ("GREETING", "NO")}
    assert found == given["release_environment"]
    mounts = {one["target"]: one for one in app["volumes"]}
    assert mounts["/run/secrets"]["source"] == "/srv/modelhost/secrets/0123456789ab"
    assert mounts["/weights"]["source"].replace("$$", "$") == "/srv/weights $1"
    for target in ("/run/secrets", "/weights"):
        assert mounts[target]["read_only"] is True
        assert mounts[target].get("bind", {}).get("create_host_path", False) is False


def test_waiting_grows_from_the_prediction_to_the_stop_of_the_container():
    app = yaml.safe_load(render("release", "srv/modelhost/releases/release/compose.yml.j2"))["services"]["app"]
    nginx = render("reverse_proxy", "etc/nginx/nginx.conf.j2", release_timeout_seconds=30)
    prediction = int(app["environment"]["MODELHOST_TIMEOUT_SECONDS"])
    gunicorn = int(app["environment"]["MODELHOST_GRACEFUL_SECONDS"])
    drain = int(evaluate("release", "{{ __release_drain_seconds }}"))
    assert prediction == 30
    assert prediction < gunicorn < 35 < drain < int(app["stop_grace_period"].rstrip("s"))
    assert "proxy_read_timeout 35s;" in nginx


@pytest.mark.parametrize(("cache_mb", "seconds"), [(0, "0"), (8, "86400")])
def test_the_app_lets_answers_be_kept_where_the_proxy_keeps_them(cache_mb, seconds, read):
    app = compose(read, "release", "srv/modelhost/releases/release/compose.yml.j2", reverse_proxy_cache_mb=cache_mb)
    assert app["environment"]["MODELHOST_CACHE_SECONDS"] == seconds


def content(**variables: Any) -> Release:
    return Release.of(json.loads(evaluate("release", "{{ __release_content | to_json }}", **variables)))


def test_the_limits_of_a_host_of_one_gigabyte_leave_room_for_the_engine():
    assert content().derived_limit_mb(1024) == 614
    # Together they stay within what one may take.
    assert content(release_replicas=2).derived_limit_mb(1024) == 307
    app = yaml.safe_load(content().compose)["services"]["app"]
    assert app["mem_limit"] == app["memswap_limit"] == "${MEMORY_LIMIT_MB:?}m"


def test_a_limit_of_its_own_is_written_and_is_not_the_machines():
    limited = content(release_memory_limit_mb="512")
    assert limited.derived_limit_mb(1024) is None
    app = yaml.safe_load(limited.compose)["services"]["app"]
    assert app["mem_limit"] == app["memswap_limit"] == "512m"


def machine(memory_mb: int, cores: int) -> dict[str, Any]:
    """What is known of another machine than the tests' usual one."""
    facts = HOST["ansible_facts"] | {"memtotal_mb": memory_mb, "processor_nproc": cores, "architecture": "aarch64"}
    host = {"memory_mb": str(memory_mb), "cores": str(cores), "ipv6": "no", "codename": "bookworm"}
    return {"ansible_facts": facts, "preflight_host": host, "inventory_hostname": f"vm{cores}"}


def test_one_inventory_is_one_release_on_every_machine():
    there = [content(**machine(memory_mb, cores)) for memory_mb, cores in ((1024, 2), (1022, 2), (65536, 64))]
    assert {release.id for release in there} == {content().id}
    assert there[0] == there[-1]


@pytest.mark.parametrize(
    "changed",
    [
        {"release_memory_limit_mb": 614}, {"release_cpus": 1.5}, {"release_workers": 2},
        {"release_timeout_seconds": 60}, {"release_replicas": 2}, {"release_pids_limit": 512},
        {"release_grpc": True}, {"reverse_proxy_cache_mb": 64},
    ],
)  # fmt: skip
def test_a_changed_variable_is_another_release_and_its_text_the_same_one(changed):
    texts = {name: str(value).lower() for name, value in changed.items()}
    assert content().id != content(**changed).id == content(**texts).id


@pytest.mark.parametrize(
    ("template", "reader"),
    [
        ("etc/sudoers.d/modelhost.j2", "visudo -cf /dev/stdin"),
        ("etc/ssh/sshd_config.d/00-0-modelhost.conf.j2", "ssh-keygen -qA && cat > /tmp/sshd && sshd -t -f /tmp/sshd"),
    ],
)
def test_sshd_and_sudo_accept_their_files(template, reader, read):
    result = read(render("deploy_user", template), reader)
    assert result.returncode == 0, result.stderr


def test_sudo_would_refuse_a_wrong_one(read):
    wrong = render("deploy_user", "etc/sudoers.d/modelhost.j2", deploy_user_name="two words")
    assert read(wrong, "visudo -cf /dev/stdin").returncode == 1


def test_docker_can_read_its_settings():
    assert json.loads(evaluate("docker", "{{ __docker_choice.text }}"))["live-restore"] is True
