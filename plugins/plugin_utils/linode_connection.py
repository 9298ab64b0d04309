"""Ask Linode's API by its own client: with deadlines and a bounded patience, and every error in words."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from linode_api4 import LinodeClient

Answer = TypeVar("Answer")
Thing = dict[str, Any]

# How long to wait before a call is repeated that failed; as many repetitions as there are numbers.
PAUSES_SECONDS = (1.0, 3.0, 9.0)
CONNECT_SECONDS, ANSWER_SECONDS = 10, 60
# How often, and how long at a time, a wait is obeyed that the API asks for (HTTP 429).
WAITS, LONGEST_WAIT_SECONDS = 3, 120
TOKENS_PAGE = "https://cloud.linode.com/profile/tokens"


class LinodeError(Exception):
    """What went wrong, as sentences for people. Never holds the token."""


@dataclass(frozen=True)
class Problem:
    """Why a call failed, and what that means for the next try."""

    words: str
    # Whether it may do better the next time, and whether it may have been carried out all the same.
    passing: bool = False
    uncertain: bool = False
    # How long the API asks to wait; None where it does not.
    wait: float | None = None


class Linode:
    """A connection that makes calls of the official client, and repeats those that may do better the next time."""

    def __init__(self, token: str, where_token: str, url: str, pauses: Sequence[float] = PAUSES_SECONDS) -> None:
        """Connect with a token; `where_token` says where people find it. Asks nothing yet."""
        try:
            from linode_api4 import LinodeClient
        except ImportError as error:
            raise LinodeError(what_to_install(str(error.name))) from None
        self._token, self._where_token, self._pauses = token, where_token, pauses
        self.host = url.split("/")[2]
        # Its own repetition would repeat a POST that was carried out and whose answer was lost.
        self.client: LinodeClient = LinodeClient(token, url, user_agent="modelhost", retry=False)
        self.client.session.mount(url, _adapter())
        self.client.session.hooks["response"].append(self._read_scopes)
        self._scopes = ""

    def ask(
        self,
        what: str,
        call: Callable[[], Answer],
        find: Callable[[], Answer | None] | None = None,
    ) -> Answer:
        """Make a call; `what` completes "could not ...".

        A call that makes something comes with `find`, which looks for that: it may have been carried out although its
        answer was lost, and is not repeated then.
        """
        doubtful, waits, pauses = False, 0, iter(self._pauses)
        while True:
            try:
                return call()
            except LinodeError:
                raise
            except Exception as error:
                problem = self._problem_of(error)
            if problem.wait is not None:
                waits += 1
                if waits > WAITS or problem.wait > LONGEST_WAIT_SECONDS:
                    raise self._error(what, problem, f" It was asked {waits} times.") from None
                time.sleep(problem.wait)
                continue
            doubtful = doubtful or problem.uncertain
            pause = next(pauses, None) if problem.passing else None
            if pause is not None:
                time.sleep(pause)
            if find and doubtful and (found := find()) is not None:
                return found
            if pause is None:
                tried = f" It was asked {len(self._pauses) + 1} times." if problem.passing else ""
                looked = " Nothing was made, as a look afterwards told." if find and doubtful else ""
                raise self._error(what, problem, tried + looked) from None

    def get(self, what: str, path: str) -> Any:
        """One thing, as the API describes it."""
        return self.ask(what, lambda: self.client.get(path))

    def list(self, what: str, path: str, **filters: Any) -> list[Thing]:
        """A list, of all its pages: things whose fields are these."""
        found: list[Thing] = []
        page = pages = 1
        while page <= pages:
            here = f"{path}?page={page}"
            answer = self.ask(f"list {what}", lambda here=here: self.client.get(here, filters=filters))
            found += answer["data"]
            page, pages = page + 1, answer["pages"]
        return found

    def first(self, what: str, path: str, label: str) -> Thing | None:
        """The thing of this label in a list; None where there is none."""
        return next(iter(self.list(what, path, label=label)), None)

    def post(self, what: str, path: str, body: Thing, find: Callable[[], Thing | None]) -> Thing:
        """Make something; `find` looks whether it is there."""
        return self.ask(what, lambda: self.client.post(path, data=body), find)

    def delete(self, what: str, path: str) -> None:
        """Remove something. What is gone already is removed."""
        from linode_api4.errors import ApiError

        def delete() -> bool:
            try:
                self.client.delete(path)
            except ApiError as error:
                if error.status != 404:
                    raise
            return True

        self.ask(what, delete)

    def lacks(self, scopes: Sequence[str]) -> list[str]:
        """Which of these scopes the token has not, as far as an answer has said what it has; asked after any call."""
        if not self._scopes or "*" in self._scopes.split():
            return []
        return [scope for scope in scopes if scope not in self._scopes.split()]

    def _read_scopes(self, response: Any, *_: Any, **__: Any) -> None:
        self._scopes = response.headers.get("X-OAuth-Scopes", self._scopes).replace(",", " ")

    def _error(self, what: str, problem: Problem, more: str) -> LinodeError:
        return LinodeError(f"Could not {what}: {problem.words}{more}".replace(self._token, "(the token)"))

    def _problem_of(self, error: Exception) -> Problem:
        from linode_api4.errors import ApiError
        from requests.exceptions import ConnectTimeout, JSONDecodeError, ProxyError, RequestException, SSLError, Timeout
        from urllib3.exceptions import NewConnectionError

        if isinstance(error, ApiError):
            return self._refusal(error)
        if isinstance(error, SSLError):
            return Problem(
                f"the certificate of {self.host} was not accepted. Behind a proxy that opens TLS, name its "
                "certificates in REQUESTS_CA_BUNDLE."
            )
        if isinstance(error, JSONDecodeError):
            return Problem(f"{self.host} answered something else than JSON; is a proxy in between?", True, True)
        if isinstance(error, ProxyError):
            return Problem("the proxy that HTTPS_PROXY names does not let this machine through.", passing=True)
        never_sent = isinstance(error, ConnectTimeout) or isinstance(_reason(error), NewConnectionError)
        if never_sent:
            return Problem(f"{self.host} was not reached. Is this machine on the internet?", passing=True)
        if isinstance(error, Timeout):
            return Problem(f"{self.host} did not answer in time.", True, True)
        if isinstance(error, RequestException):
            return Problem(f"the connection to {self.host} failed.", True, True)
        # The client itself, of an answer that it does not understand, or of a list that changed while it was read.
        return Problem(
            f"{self.host} answered what its client does not understand ({type(error).__name__}).", True, True
        )

    def _refusal(self, error: Any) -> Problem:
        """Put an answer that is an error into words."""
        headers = error.response.headers
        fields = [one.get("field", "") for one in (error.json or {}).get("errors", [])]
        reason = "; ".join(
            f"{field}: {reason}" if field else str(reason) for field, reason in zip(fields, error.errors, strict=True)
        )
        said = f'Linode says "{reason}".' if reason else f"Linode answered {error.status} and no reason."
        match error.status:
            case 401 if "not authorized" in reason:
                needed = headers.get("X-Accepted-OAuth-Scopes", "").replace(",", " or ")
                has = ", ".join(self._scopes.split()) or "no scope"
                return Problem(
                    f"the token in {self._where_token} may not do that, which needs the scope {needed}. It has "
                    f"{has}. Make one that has it at {TOKENS_PAGE}."
                )
            case 401:
                return Problem(
                    f"Linode does not know the token in {self._where_token}, or it has expired. Make one at "
                    f"{TOKENS_PAGE}."
                )
            case 403:
                return Problem(
                    f"the user whose token is in {self._where_token} may not do that. {said} An owner of the account "
                    "gives the right: https://cloud.linode.com/account/users."
                )
            case 429:
                wait = waiting_time(headers)
                return Problem(f"Linode asks to wait {wait:.0f} s, because it was asked too often.", wait=wait)
            case status if status == 408 or status >= 500:
                return Problem(f"Linode's API failed (HTTP {status}). https://status.linode.com says more.", True, True)
        if "busy" in reason.lower():
            return Problem(said, passing=True)
        if "limit" in reason.lower():
            more = "Remove what is not needed, or ask Linode's support to raise your account's limit."
            return Problem(f"{said} {more}")
        return Problem(said)


def waiting_time(headers: Any) -> float:
    """How many seconds the API asks to wait: by Retry-After, or by the end of the window of its limit."""
    # Seen in the wild: Retry-After: -1509450059.
    try:
        return max(1.0, float(headers["Retry-After"]))
    except (KeyError, ValueError):
        pass
    try:
        return max(1.0, float(headers["X-RateLimit-Reset"]) - time.time())
    except (KeyError, ValueError):
        return 15.0


def what_to_install(package: str) -> str:
    """Tell where the package has to be, and how it gets there."""
    return (
        f"Renting a machine at Linode needs the Python package {package}, which is not where Ansible runs. Type: "
        f"{sys.executable} -m pip install linode-api4; a checkout's `make .venv` has it."
    )


def _reason(error: Any) -> Any:
    """What urllib3 says of an error of requests'."""
    return getattr(next(iter(error.args), None), "reason", None)


def _adapter() -> Any:
    from requests.adapters import HTTPAdapter

    class WithDeadlines(HTTPAdapter):
        def send(self, request: Any, *arguments: Any, **options: Any) -> Any:
            return super().send(request, *arguments, **options | {"timeout": (CONNECT_SECONDS, ANSWER_SECONDS)})

    return WithDeadlines()
