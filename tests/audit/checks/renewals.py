"""Certificates, keys and packages that are replaced under load."""

import re
import time

from row import Check, Outcome
from scenery import Scenery
from target import Target

LONG, SHORT = 30_000, 3_000
LONG_ROTATIONS, SHORT_ROTATIONS = 5, 1
THREADS, RATE = 4, 25.0
PAUSE_SECONDS = 1.0
RENEW = "modelhost-certificate renew --now >/dev/null && sha256sum < /srv/modelhost/proxy/tls/current/certificate.pem"
YESTERDAY = "20260101"
# Two clients have keys: the one that asks keeps its own, and the other one's is replaced.
ROTATED = "bob"


def measure(scenery: Scenery) -> Outcome:
    """Renew and rotate until enough was asked, with an upgrade in the middle."""
    wanted, rotations = (LONG, LONG_ROTATIONS) if scenery.long else (SHORT, SHORT_ROTATIONS)
    target, done = scenery.target, {"renewals": 0, "key rotations": 0}
    with scenery.client(pooled=THREADS // 2, fresh=THREADS // 2, rate=RATE) as client:
        certificates = {renew(target)}
        as_of_yesterday(target)
        before = images(target)
        target.must_play("playbooks/upgrade.yml")
        after = images(target)
        while client.sent < wanted or done["key rotations"] < rotations:
            for _ in range(5):
                time.sleep(PAUSE_SECONDS)
                certificates.add(renew(target))
                done["renewals"] += 1
            rotate(target)
            done["key rotations"] += 1
    failed = len(client.failures)
    different = len(certificates) == done["renewals"] + 1
    words = ", ".join(f"{count} {what}" for what, count in done.items())
    return Outcome(
        f"{failed} of {client.sent:,} failed ({words}, 1 upgrade)",
        failed == 0 and different and before != after,
        [f"Worst gap between right answers: {client.report()['worst_gap_seconds']:.2f} s.", *client.failures[:5],
         *([] if different else ["A renewal gave no new certificate."]),
         *([] if before != after else ["The upgrade brought no new image."])],
    )  # fmt: skip


def renew(target: Target) -> str:
    """Have a new certificate at once; returns its digest."""
    return target.run(RENEW).split()[0]


def rotate(target: Target) -> None:
    """Give a client a second key, and take its first one away."""
    for act in (target.make_key, target.revoke_key):
        act(ROTATED)
        target.must_play("site.yml", "--tags", "reverse_proxy")


def as_of_yesterday(target: Target) -> None:
    """Have all images stand on a base of another day, so that there is something to upgrade."""
    listed = target.run("docker image ls --format '{{.Repository}}:{{.Tag}}' --filter reference='modelhost-base:*'")
    base = listed.split()[0]
    target.run(f"docker tag {base} {re.sub('[0-9]{8}$', YESTERDAY, base)} && docker image rm {base}")
    target.must_play("site.yml")


def images(target: Target) -> str:
    """What nginx and the app run from."""
    return target.run(f"docker inspect --format '{{{{.Image}}}}' modelhost-proxy {target.live()}")


CHECK = Check(
    "renewals",
    "certificate renewals, key rotations and playbooks/upgrade.yml under load "
    f"({LONG:,} requests, {SHORT:,} in the short form)",
    "0 failed",
    measure,
)
