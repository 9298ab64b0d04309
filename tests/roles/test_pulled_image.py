"""An image of a registry: what may name it, what it is called on a host, and what the roles make of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from rendering import HOST, evaluate, load, render

DIGEST = "0123456789abcdef" * 4
REPOSITORY = "registry.example.com/team/modelhost"
REFERENCE = f"{REPOSITORY}@sha256:{DIGEST}"
REGISTRY: dict[str, Any] = {"app_image_source": "registry", "app_image_reference": REFERENCE}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
(RULES,) = load("app_image", "tasks/validate.yml")


def broken(**given: Any) -> list[str]:
    """The variables of which a rule does not hold with these values."""
    rules = RULES["modelhost.modelhost.check_rules"]["rules"]
    return sorted({rule["variable"] for rule in rules if evaluate("app_image", rule["holds"], **given) != "True"})


def variable(name: str, **given: Any) -> Any:
    return json.loads(evaluate("app_image", "{{ " + name + " | to_json }}", **given))


@pytest.mark.parametrize(
    "reference",
    [
        REFERENCE,
        f"{REPOSITORY}:0.1.0@sha256:{DIGEST}",
        f"10.0.0.5:5000/modelhost@sha256:{DIGEST}",
        f"registry:5000/a/b/c_d-e.f@sha256:{DIGEST}",
        f"localhost/modelhost@sha256:{DIGEST}",
    ],
)
def test_an_image_is_named_by_its_digest(reference: str) -> None:
    assert broken(app_image_source="registry", app_image_reference=reference) == []


@pytest.mark.parametrize(
    "reference",
    [
        "",
        REPOSITORY,
        f"{REPOSITORY}:latest",
        f"{REPOSITORY}:0.1.0@sha256:{DIGEST[1:]}",
        f"{REPOSITORY}@sha256:{DIGEST}0",
        f"{REPOSITORY}@sha512:{DIGEST}",
        f"team/modelhost@sha256:{DIGEST}",
        f"modelhost@sha256:{DIGEST}",
        f"sha256:{DIGEST}",
        f"https://{REFERENCE}",
        f"{REFERENCE}\n",
        f" {REFERENCE}",
        f"registry.example.com/team/../modelhost@sha256:{DIGEST}",
        f"../../etc@sha256:{DIGEST}",
    ],
)
def test_anything_else_is_refused(reference: str) -> None:
    assert broken(app_image_source="registry", app_image_reference=reference) == ["app_image_reference"]


def test_the_words_of_a_tag_say_why_and_where_a_digest_is_from() -> None:
    (must,) = (
        rule["must"]
        for rule in RULES["modelhost.modelhost.check_rules"]["rules"]
        if rule["variable"] == "app_image_reference"
    )
    words = evaluate("app_image", must)
    assert "a tag may name another image tomorrow" in words
    assert "`make image` prints it" in words
    assert "docker image inspect --format '{{.RepoDigests}}' " in words


def test_a_reference_that_nothing_reads_is_refused() -> None:
    assert broken() == []
    assert broken(app_image_reference=REFERENCE) == ["app_image_source"]


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"app_image_registry_username": "ci", "app_image_registry_password": "s3cret"}, []),
        ({"app_image_registry_username": "ci", "app_image_registry_password": 12345}, []),
        ({"app_image_registry_username": "ci"}, ["app_image_registry_password"]),
        ({"app_image_registry_password": "s3cret"}, ["app_image_registry_password"]),
        ({"app_image_registry_username": "ci", "app_image_registry_password": "x\n"}, ["app_image_registry_password"]),
        ({"app_image_registry_ca_file": "no/such.pem"}, ["app_image_registry_ca_file"]),
        ({"app_image_push_repository": f"{REPOSITORY}:1"}, ["app_image_push_repository"]),
        ({"app_image_push_repository": "team/modelhost"}, ["app_image_push_repository"]),
        ({"app_image_push_repository": REPOSITORY}, []),
    ],
)
def test_what_does_not_fit_together_is_refused(given: dict[str, Any], refused: list[str]) -> None:
    assert broken(**REGISTRY, **given) == refused


def test_a_password_is_not_shown_where_it_is_refused() -> None:
    for rule in RULES["modelhost.modelhost.check_rules"]["rules"]:
        if rule["variable"] == "app_image_registry_password":
            assert "s3cret" not in evaluate("app_image", rule["received"], app_image_registry_password="s3cret")


def test_a_ca_is_a_certificate_and_no_private_key_and_has_no_meaning_without_tls(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    given = {**REGISTRY, "app_image_registry_ca_file": str(file)}
    file.write_text("hello")
    assert broken(**given) == ["app_image_registry_ca_file"]
    file.write_text(f"{CERTIFICATE}-----BEGIN RSA PRIVATE KEY-----\n")
    assert broken(**given) == ["app_image_registry_ca_file"]
    file.write_text(CERTIFICATE)
    assert broken(**given) == []
    assert broken(**given, app_image_registry_plain_http="yes") == ["app_image_registry_plain_http"]
    assert variable("__app_image_authorities", **given) == {"registry.example.com": CERTIFICATE.strip()}
    built = {**given, "app_image_source": "build", "app_image_reference": ""}
    assert variable("__app_image_authorities", **built) == {}


def test_a_pulled_image_is_called_by_its_digest_and_looked_at_for_what_bundles_need() -> None:
    (bundle, *_) = HOST["release_read"]["bundles"]
    lock = {"file": "x.lock", "digest": "d" * 64}
    read = {"bundles": [bundle | {"extras": ["skops"]}, bundle | {"name": "words", "requirements": lock}]}
    name = load("app_image", "tasks/name.yml")[1]["ansible.builtin.set_fact"]["app_image_name"]
    given = {**REGISTRY, "app_image_reference": f"{REPOSITORY}:1@sha256:{DIGEST}", "release_read": read}
    assert evaluate("app_image", name, **given) == "modelhost-app:sha256-0123456789ab"
    assert variable("__app_image_pulled", **given, release_grpc="true") == {
        "reference": REFERENCE,
        "digest": f"sha256:{DIGEST}",
        "extras": ["grpc", "skops"],
        "requirements": {"d" * 64: "words"},
    }
    assert variable("__app_image_pulled", release_read=read) == {}


def test_a_release_has_the_whole_digest_in_it_where_its_image_is_pulled_and_is_as_before_where_it_is_built() -> None:
    template = "srv/modelhost/releases/release/compose.yml.j2"
    built = render("release", template)
    assert render("release", template, app_image_pulled={}) == built
    pulled = render("release", template, app_image_pulled={"digest": f"sha256:{DIGEST}"})
    assert f"      modelhost.image: sha256:{DIGEST}\n" in pulled
    added = set(pulled.splitlines()) - set(built.splitlines())
    assert len(added) == 2


def test_nothing_is_built_for_the_app_where_it_is_pulled() -> None:
    missing = {"release_plan": {"image_present": False, "trusts_registry": True}}
    files = ("build.yml", "pull.yml")
    tasks = {
        task.get("ansible.builtin.include_tasks"): task.get("when") for task in load("app_image", "tasks/main.yml")
    }
    begun = [evaluate("app_image", "{{ " + tasks[file] + " }}", **missing, **REGISTRY) for file in files]
    assert begun == ["False", "True"]
    base = load("app_image", "tasks/name.yml")[0]["when"]
    assert evaluate("app_image", "{{ " + base + " }}", **REGISTRY) == "False"


def test_the_playbook_that_pushes_builds_whatever_hosts_do() -> None:
    pushing = {**REGISTRY, "app_image_push_repository": "push.example.com/x", "__image_is_pushed": True}
    assert broken(**pushing) == []
    assert variable("__app_image_builds", **pushing) is True
    assert variable("__app_image_registry", **pushing) == "push.example.com"
    assert variable("__app_image_target", **REGISTRY) == REPOSITORY
    assert broken(__image_is_pushed=True) == ["app_image_push_repository"]


def test_an_engine_asks_a_registry_without_tls_only_where_that_is_wanted() -> None:
    assert json.loads(evaluate("docker", "{{ __docker_plain_registries | to_json }}", **REGISTRY)) == []
    for true in (True, "yes"):
        given = {**REGISTRY, "app_image_registry_plain_http": true}
        choice = json.loads(evaluate("docker", "{{ __docker_choice | to_json }}", **given))
        assert choice["settings"]["insecure-registries"] == ["registry.example.com"]
        assert choice["may_be_shown"] is True
