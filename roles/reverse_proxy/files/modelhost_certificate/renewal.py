"""What is wanted, what is due, and what is done about it."""

from __future__ import annotations

import fcntl
import shutil
import time
from typing import Any

from . import authority
from .files import make_folder, write
from .issuer import issue
from .layout import (
    CERTIFICATES,
    CHALLENGES,
    CLIENT_UID,
    CURRENT,
    ISSUER,
    ISSUER_CA,
    LOCK,
    NGINX_GID,
    OWN_KEY,
    PROBLEM,
    TLS,
    YOUR_KEY,
    YOURS,
)
from .openssl import make_key
from .report import forget_problem, served, signs_itself, trusted
from .serving import serve
from .signing import DAY


def converge(settings: dict[str, Any], may_ask: bool, check: bool, now: bool) -> bool:
    """Serve what is wanted; returns whether that is something new, or with `check` would be."""
    due, no_authority = now or is_due(settings, served()), lacks_authority(settings)
    if check or not (due or no_authority or PROBLEM.exists()):
        return no_authority or (due and (may_ask or settings["kind"] != "acme" or not CURRENT.exists()))
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make_folders(settings)
        # Another one may have done it meanwhile.
        due = now or is_due(settings, served())
        changed = act(settings, due, may_ask)
        if not (settings["kind"] == "acme" and due and not may_ask):
            forget_problem()
        return changed


def act(settings: dict[str, Any], due: bool, may_ask: bool) -> bool:
    """Have what is due; returns whether there is something new."""
    facts, kind = served(), settings["kind"]
    changed = lacks_authority(settings)
    if changed:
        authority.make(settings["image"], [*settings["names"], *settings["also"]])
    if kind == "files" and due:
        known = {"kind": kind, "wanted": wanted(settings)}
        serve(settings["image"], YOURS.read_bytes(), YOUR_KEY.read_bytes(), known)
        changed = True
    if (kind == "selfsigned" and due) or (kind == "acme" and must_stand_in(facts)):
        sign(settings, facts)
        changed = True
    if kind == "acme" and may_ask and due:
        key, known = own_key(settings["image"]), {"kind": kind, "wanted": wanted(settings)}
        renewed = facts is not None and facts["wanted"] == known["wanted"]
        serve(settings["image"], issue(settings, key, renewed), key, known)
        changed = True
    return changed


def make_folders(settings: dict[str, Any]) -> None:
    """Have the folders that are wanted, and nothing that another kind of certificate has left."""
    make_folder(TLS, 0, 0, 0o755)
    make_folder(CERTIFICATES, 0, 0, 0o755)
    if settings["kind"] == "acme":
        make_folder(ISSUER, 0, 0, 0o700)
        make_folder(ISSUER / "request", 0, 0, 0o755)
        make_folder(ISSUER / "state", CLIENT_UID, NGINX_GID, 0o700)
        # What is written there belongs to nginx's group.
        make_folder(CHALLENGES, CLIENT_UID, NGINX_GID, 0o2750)
    else:
        for left in (ISSUER, CHALLENGES):
            shutil.rmtree(left, ignore_errors=True)
        ISSUER_CA.unlink(missing_ok=True)
    if settings["kind"] != "files":
        for left in (YOURS, YOUR_KEY):
            left.unlink(missing_ok=True)


def lacks_authority(settings: dict[str, Any]) -> bool:
    """Whether the host has still to make its own authority; also where it serves an older certificate, so that clients
    can be given the new file before that one goes."""
    return settings["kind"] == "selfsigned" and authority.current() is None


def is_due(settings: dict[str, Any], facts: dict[str, Any] | None) -> bool:
    """Whether something else than what is served is wanted."""
    if facts is None or facts["wanted"] != wanted(settings):
        return True
    if settings["kind"] == "files":
        return False
    return is_old(facts) or (settings["kind"] == "selfsigned" and not is_of_the_authority(facts))


def must_stand_in(facts: dict[str, Any] | None) -> bool:
    """Whether the host has to sign one until an issuer gives one: nginx has none, or one of the host's that is old."""
    return facts is None or (facts["kind"] == "selfsigned" and is_old(facts))


def is_old(facts: dict[str, Any]) -> bool:
    """Whether it is time for a new one: when half of its time is over; of one that clients trust itself, at its end."""
    begin, end = int(facts["not_before"]), int(facts["not_after"])
    return time.time() > (end - 30 * DAY if signs_itself(facts) else (begin + end) / 2)


def is_of_the_authority(facts: dict[str, Any]) -> bool:
    """Whether the host's authority of now vouches for it. One that signs itself goes on until someone asks."""
    own = authority.current()
    return signs_itself(facts) or (own is not None and trusted(facts) == own["sha256"])


def wanted(settings: dict[str, Any]) -> list[Any]:
    """What makes another certificate of one."""
    if settings["kind"] == "acme":
        return ["acme", settings["names"], settings["issuer"]["directory"]]
    return [settings["kind"], settings["names"], settings["files"]]


def sign(settings: dict[str, Any], facts: dict[str, Any] | None) -> None:
    """Serve a certificate of the host's own authority; `facts` are those of the one before."""
    key, own = own_key(settings["image"]), {**settings, "kind": "selfsigned"}
    certificate, vouching = authority.sign(settings["image"], key, settings["names"], settings["also"])
    before = trusted(facts)
    known = {
        "kind": "selfsigned",
        "wanted": wanted(own),
        "authority": {name: vouching[name] for name in ("sha256", "not_after", "file")},
        "replaced": before if before != vouching["sha256"] else None,
    }
    serve(settings["image"], certificate, key, known)


def own_key(image: str) -> bytes:
    """The key of what is made here, made where there is none."""
    if not OWN_KEY.exists():
        write(OWN_KEY, make_key(image), 0o600)
    return OWN_KEY.read_bytes()
