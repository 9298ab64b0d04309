"""Settings come from MODELHOST_* variables, and a wrong one is named with a valid example."""

from pathlib import Path

import pytest
from modelhost.settings import RULES, Settings, SettingsError


def test_settings_are_read_from_variables() -> None:
    settings = Settings.from_environment(
        {"MODELHOST_MODELS_DIR": "/srv/models", "MODELHOST_BODY_LIMIT_MB": "2.5", "HOME": "/"}
    )
    assert settings.models_dir == Path("/srv/models")
    assert settings.body_limit_bytes == 2_621_440
    assert settings.default_model == "colours"


def test_models_that_may_be_pickles_are_named_one_by_one() -> None:
    def allowed(text: str) -> tuple[str, ...]:
        return Settings.from_environment({"MODELHOST_ALLOW_PICKLE": text}).allow_pickle

    assert allowed("") == Settings().allow_pickle == ()
    assert allowed("churn, fraud-2") == ("churn", "fraud-2")


def test_every_setting_has_a_rule_whose_example_is_valid() -> None:
    for name, (accept, example) in RULES.items():
        variable = f"MODELHOST_{name.upper()}"
        assert getattr(Settings.from_environment({variable: example}), name) == accept(example)
    assert set(RULES) == set(Settings.__dataclass_fields__)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MODELHOST_MODELS_DIR", ""),
        ("MODELHOST_BIND", "8000"),
        ("MODELHOST_BIND", "unix:relative.sock"),
        ("MODELHOST_BIND", ""),
        ("MODELHOST_GRPC_BIND", "8001"),
        ("MODELHOST_WORKERS", "-1"),
        ("MODELHOST_WORKERS", "two"),
        ("MODELHOST_THREADS", "-1"),
        ("MODELHOST_QUEUE", "0"),
        ("MODELHOST_CACHE_MB", "much"),
        ("MODELHOST_BODY_LIMIT_MB", "0"),
        ("MODELHOST_BODY_LIMIT_MB", "nan"),
        ("MODELHOST_BODY_LIMIT_MB", "inf"),
        ("MODELHOST_TIMEOUT_SECONDS", "1.5"),
        ("MODELHOST_RELEASE", "a\nb"),
        ("MODELHOST_ALLOW_PICKLE", "churn fraud"),
        ("MODELHOST_ALLOW_PICKLE", "*"),
        ("MODELHOST_ALLOW_PICKLE", "churn,"),
    ],
)
def test_a_wrong_value_is_named_with_an_example(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({variable: value})
    assert f"{variable} cannot be {value!r}: write for example {variable}=" in str(caught.value)


def test_what_kubernetes_tells_of_a_service_of_our_name_is_no_setting() -> None:
    told = {
        "MODELHOST_SERVICE_HOST": "10.0.0.1", "MODELHOST_SERVICE_PORT": "80", "MODELHOST_SERVICE_PORT_HTTP": "80",
        "MODELHOST_PORT": "tcp://10.0.0.1:80", "MODELHOST_PORT_80_TCP_ADDR": "10.0.0.1",
        "MODELHOST_PORT_80_TCP_PORT": "80", "MODELHOST_BLUE_PORT": "udp://[::1]:1",
    }  # fmt: skip
    assert Settings.from_environment(told) == Settings()
    for name in ("MODELHOST_PORT", "MODELHOST_BODY_PORT"):
        with pytest.raises(SettingsError, match=f"{name}=9000 is not a setting"):
            Settings.from_environment({name: "9000"})


def test_a_misspelt_variable_is_not_ignored() -> None:
    with pytest.raises(SettingsError, match="did you mean MODELHOST_WORKERS"):
        Settings.from_environment({"MODELHOST_WORKER": "2"})
