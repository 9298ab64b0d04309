"""What TLS is spoken, by testssl.sh."""

from readers import testssl
from row import Check, CheckError, Outcome
from scenery import Scenery

FILE = "/tmp/testssl.json"
# What a certificate of the machine's own CA cannot have for who does not know that CA, by the names of the findings.
CHAIN_OF_TRUST = {
    "cert_chain_of_trust": "a stranger does not know the machine's own CA",
    "cert_revocation": "nobody else could take it back; it lasts 90 days",
    "overall_grade": "no grade but T is given where the CA is not known",
}
# What testssl.sh says of itself.
OF_THE_SCANNER = {"engine_problem": "the attacker's own OpenSSL has no GOST"}
LEFT_OUT = CHAIN_OF_TRUST | OF_THE_SCANNER


def measure(scenery: Scenery) -> Outcome:
    """Scan port 443 from the second machine."""
    scenery.attacker.run("rm", "-f", FILE)
    command = ["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--jsonfile", FILE]
    scenery.attacker.run(*command, f"https://{scenery.target.addresses[0]}/")
    try:
        listed = testssl.findings(scenery.attacker.run("cat", FILE))
    except ValueError as error:
        raise CheckError(str(error)) from error
    told = testssl.counting(listed)
    bad = [one for one in told if one.id not in LEFT_OUT or (one.id == "overall_grade" and not only_trust(listed))]
    left_out = [one.id for one in told if one not in bad]
    notes = [f"{one.severity}: {one.id}: {one.words}" for one in bad]
    notes += [f"left out: {name}: {LEFT_OUT[name]}" for name in left_out]
    return Outcome(f"{len(bad)} of {len(listed)} findings, {len(left_out)} left out", not bad, notes)


def only_trust(listed: list[testssl.Finding]) -> bool:
    """Whether the grade is T for want of trust alone; a worse grade than A has another reason."""
    caps = [one.words for one in listed if one.id.startswith("grade_cap_reason")]
    return all("chain of trust" in words or "capped to A." in words for words in caps)


CHECK = Check(
    "tls",
    "testssl.sh",
    "nothing of medium severity or above",
    measure,
    unseen=f"the chain of trust of an issuer's certificate: {', '.join(CHAIN_OF_TRUST)} are left out",
)
