"""The official client, with our patience and words around it, against a server that speaks Linode's API."""

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.modelhost.modelhost.plugins.plugin_utils import linode_connection
from ansible_collections.modelhost.modelhost.plugins.plugin_utils.linode_connection import Linode, LinodeError
from linode_api import LinodeApi

MACHINES = "/linode/instances"


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What would have been waited, and is not."""
    waits: list[float] = []
    monkeypatch.setattr(linode_connection.time, "sleep", waits.append)
    return waits


@pytest.fixture
def linode(account: LinodeApi, slept: list[float]) -> Linode:
    return Linode(account.token, "LINODE_TOKEN", account.url)


def make(linode: Linode) -> dict[str, Any]:
    """Make a machine."""
    body = {
        "label": "models", "region": "eu-central", "type": "g6-nanode-1", "image": "linode/debian13",
        "root_pass": "x" * 20, "authorized_keys": ["ssh-ed25519 AAAA"],
    }  # fmt: skip
    find = functools.partial(linode.first, "the machines", MACHINES, "models")
    return linode.post("make the machine models", MACHINES, body, find)


def said(call: Callable[[], Any]) -> str:
    """What a call that has to fail says."""
    with pytest.raises(LinodeError) as caught:
        call()
    assert caught.value.__cause__ is None
    return str(caught.value)


def look(linode: Linode) -> Any:
    return linode.get("look", MACHINES)


def test_a_list_is_read_to_its_last_page(account, linode):
    account.page_size = 25
    assert len(linode.list("the images", "/images")) == len(account.images) > 100
    assert account.asked.count("GET /images") == 5


def test_a_list_of_nothing_is_empty(linode):
    assert linode.list("the machines", MACHINES) == []


def test_a_wrong_token_is_said_with_where_it_stands(account, linode):
    wrong = Linode("0" * 64, "LINODE_CLI_TOKEN", account.url)
    assert said(lambda: look(wrong)).startswith(
        "Could not look: Linode does not know the token in LINODE_CLI_TOKEN, or it has expired. Make one at https://"
    )
    assert len(account.asked) == 1


def test_a_token_without_the_scope_is_told_which_one_is_needed(account, linode):
    account.scopes = "linodes:read_only firewall:read_write"
    text = said(lambda: make(linode))
    assert "the token in LINODE_TOKEN may not do that, which needs the scope linodes:read_write." in text
    assert "It has linodes:read_only, firewall:read_write." in text
    assert account.posts(MACHINES) == 1


def test_a_user_without_the_right_is_told_who_gives_it(account, linode):
    account.may_write = False
    text = said(lambda: make(linode))
    assert 'the user whose token is in LINODE_TOKEN may not do that. Linode says "Unauthorized".' in text
    assert account.posts(MACHINES) == 1


@pytest.mark.parametrize(
    ("scopes", "lacking"),
    [
        ("*", []),
        ("linodes:read_write firewall:read_write", []),
        ("linodes:read_only,firewall:read_write", ["linodes:read_write"]),
    ],
)
def test_what_a_token_lacks_is_known_after_any_answer(account, linode, scopes, lacking):
    account.scopes = scopes
    assert linode.lacks(["linodes:read_write"]) == []
    look(linode)
    assert linode.lacks(["linodes:read_write", "firewall:read_write"]) == lacking


def test_a_limit_of_the_account_is_said_in_linodes_words_and_what_to_do(account, linode):
    account.refuse("POST", MACHINES, 400, "Account Limit reached. Please open a support ticket.")
    text = said(lambda: make(linode))
    assert 'Linode says "Account Limit reached. Please open a support ticket.".' in text
    assert "Remove what is not needed, or ask" in text


def test_a_field_that_is_wrong_is_named(account, linode):
    account.refuse("POST", MACHINES, 400, "Length must be 3-64 characters", field="label")
    assert 'Linode says "label: Length must be 3-64 characters".' in said(lambda: make(linode))


def test_a_wait_that_is_asked_for_is_obeyed(account, linode, slept):
    account.refuse("GET", MACHINES, 429, "Too many requests", times=2, Retry_After="7")
    assert look(linode)["data"] == []
    assert slept == [7, 7]


def test_a_wait_is_obeyed_a_bounded_number_of_times(account, linode, slept):
    account.refuse("GET", MACHINES, 429, "Too many requests", times=9, Retry_After="7")
    text = said(lambda: look(linode))
    assert "Linode asks to wait 7 s, because it was asked too often. It was asked 4 times." in text
    assert len(slept) == 3


@pytest.mark.parametrize(("asked", "waited"), [("-1509450059", 1), ("soon", 15)])
def test_a_wait_that_makes_no_sense_is_a_short_one(account, linode, slept, asked, waited):
    account.refuse("GET", MACHINES, 429, "Too many requests", Retry_After=asked)
    look(linode)
    assert slept == [waited]


def test_a_long_wait_is_said_at_once(account, linode, slept):
    account.refuse("POST", MACHINES, 429, "Too many requests", Retry_After="900")
    assert "Linode asks to wait 900 s" in said(lambda: make(linode))
    assert slept == []
    assert account.labels() == []


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_failure_of_the_api_is_asked_again(account, linode, slept, status):
    account.refuse("GET", MACHINES, status, times=3)
    assert look(linode)["data"] == []
    assert slept == [1, 3, 9]


def test_an_api_that_goes_on_failing_is_given_up(account, linode):
    account.refuse("GET", MACHINES, 502, times=9)
    text = said(lambda: look(linode))
    assert text == (
        "Could not look: Linode's API failed (HTTP 502). https://status.linode.com says more. It was asked 4 times."
    )
    assert "html" not in text


def test_a_machine_whose_answer_was_lost_is_found_and_not_made_twice(account, linode):
    account.lose("POST", MACHINES, carried_out=True)
    assert make(linode)["label"] == "models"
    assert account.posts(MACHINES) == 1
    assert account.labels() == ["models"]


def test_a_machine_that_was_not_made_is_asked_for_again(account, linode):
    account.lose("POST", MACHINES, carried_out=False, times=2)
    assert make(linode)["label"] == "models"
    assert account.posts(MACHINES) == 3
    assert account.labels() == ["models"]


def test_a_machine_that_appears_only_after_the_look_is_found_by_its_label(account, linode, monkeypatch):
    """The first request is carried out late: the look finds nothing, and the second request is refused."""
    account.lose("POST", MACHINES, carried_out=True)
    looks = iter([None])
    call = account.carry_out

    def late(method: str, path: str, body: Any) -> Any:
        done = call(method, path, body)
        return [] if (method, path) == ("GET", MACHINES) and next(looks, "seen") is None else done

    monkeypatch.setattr(account, "carry_out", late)
    assert make(linode)["label"] == "models"
    assert account.posts(MACHINES) == 2
    assert account.labels() == ["models"]


def test_a_failure_on_making_is_looked_into_before_it_is_repeated(account, linode):
    account.refuse("POST", MACHINES, 500)
    make(linode)
    assert account.asked == [f"POST {MACHINES}", f"GET {MACHINES}", f"POST {MACHINES}"]


def test_making_that_goes_on_failing_says_that_nothing_was_made(account, linode):
    account.refuse("POST", MACHINES, 503, times=9)
    assert said(lambda: make(linode)).endswith("It was asked 4 times. Nothing was made, as a look afterwards told.")
    assert account.posts(MACHINES) == 4


def test_an_answer_that_comes_too_late_is_not_waited_for(account, slept, monkeypatch):
    monkeypatch.setattr(linode_connection, "ANSWER_SECONDS", 0.2)
    linode = Linode(account.token, "LINODE_TOKEN", account.url)
    account.delay("POST", MACHINES, 1)
    assert make(linode)["label"] == "models"
    assert account.posts(MACHINES) == 1


def test_a_server_that_is_not_there_is_said_and_nothing_looked_for(slept):
    linode = Linode("t" * 64, "LINODE_TOKEN", "http://127.0.0.1:1/v4")
    text = said(lambda: make(linode))
    assert text == (
        "Could not make the machine models: 127.0.0.1:1 was not reached. Is this machine on the internet? "
        "It was asked 4 times."
    )
    assert slept == [1, 3, 9]


def test_something_else_than_the_api_is_not_shown(account, linode):
    account.faults.clear()
    account.refuse("GET", MACHINES, 200, times=9)
    assert "answered something else than JSON; is a proxy in between?" in said(lambda: look(linode))


def test_a_machine_that_is_busy_is_asked_again(account, linode):
    made = make(linode)
    account.refuse("DELETE", f"{MACHINES}/{made['id']}", 400, "Linode busy.", times=2)
    linode.delete("remove it", f"{MACHINES}/{made['id']}")
    assert account.labels() == []


def test_an_error_that_repeats_the_token_does_not_show_it(account, linode):
    account.refuse("GET", MACHINES, 400, f"Bearer {account.token} is strange")
    text = said(lambda: look(linode))
    assert account.token not in text
    assert "Bearer (the token) is strange" in text


def test_the_token_is_sent_to_the_api_alone(account, linode):
    with LinodeApi(token=account.token) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost") + MACHINES
        account.refuse("GET", MACHINES, 302, "elsewhere", Location=elsewhere)
        # It would let the token in.
        assert "does not know the token" in said(lambda: look(linode))
        assert other.asked == [f"GET {MACHINES}"]


def test_a_missing_client_is_said_with_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "linode_api4", None)
    text = said(lambda: Linode("t" * 64, "LINODE_TOKEN", "https://api.linode.com/v4"))
    assert text.startswith("Renting a machine at Linode needs the Python package linode_api4")
    assert f"{sys.executable} -m pip install linode-api4" in text


def test_two_calls_at_once_make_one_machine(account, slept):
    """Two runs for the same name: one makes it, the other is refused, because labels are unique."""
    ends: list[str] = []

    def run() -> None:
        try:
            ends.append(make(Linode(account.token, "LINODE_TOKEN", account.url))["label"])
        except LinodeError as error:
            ends.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert account.labels() == ["models"]
    assert "models" in ends
    assert any("Label must be unique" in one for one in ends)
