"""What TLS is spoken, by testssl.sh."""

from readers import testssl
from row import Check, CheckError, Outcome
from scenery import Scenery

FILE = "/tmp/testssl.json"
# What a certificate that the machine has signed itself cannot have: somebody else who vouches for it.
SELF_SIGNED = {
    "cert_chain_of_trust": "nobody else has signed it",
    "cert_notRevoked": "nobody can take it back",
    "cert_trust": "it is for the machine's address, which testssl.sh does not look for",
}


def measure(scenery: Scenery) -> Outcome:
    """Scan port 443 from the second machine."""
    scenery.attacker.run("rm", "-f", FILE)
    command = ["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--jsonfile", FILE]
    scenery.attacker.run(*command, f"https://{scenery.target.addresses[0]}/")
    try:
        listed = testssl.findings(scenery.attacker.run("cat", FILE))
    except ValueError as error:
        raise CheckError(str(error)) from error
    bad = [one for one in testssl.counting(listed) if one.id not in SELF_SIGNED]
    left_out = [one.id for one in testssl.counting(listed) if one.id in SELF_SIGNED]
    notes = [f"testssl.sh, {one.severity}: {one.id}: {one.words}" for one in bad]
    notes += [f"testssl.sh, left out: {name}: {SELF_SIGNED[name]}" for name in left_out]
    return Outcome(f"{len(bad)} of {len(listed)} findings, {len(left_out)} left out", not bad, notes)


CHECK = Check(
    "tls",
    "testssl.sh",
    "nothing of medium severity or above",
    measure,
    unseen=f"the chain of trust of an issuer's certificate: {', '.join(SELF_SIGNED)} are left out",
)
