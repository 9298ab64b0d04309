"""Where everything of a deployment is on the host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

COLOURS = ("blue", "green")
# As many as nginx tries: a request is sent twice at most, and the second time to the other replica.
REPLICAS = (1, 2)
# Where nginx sends a second try: a link to the second replica's socket, or to the only one's.
SECOND_TRY = "second.sock"


@dataclass(frozen=True)
class Layout:
    """The folders and files below `root`."""

    root: Path = Path("/srv/modelhost")

    @property
    def certificate(self) -> Path:
        """What the role reverse_proxy notes of the certificate that nginx serves; not there where it serves none."""
        return self.root / "proxy" / "tls" / "current" / "facts.json"

    @property
    def certificate_authority(self) -> Path:
        """What clients trust where a CA of the host's own has signed what is served."""
        return self.root / "proxy" / "certificate-authority" / "ca.pem"

    @property
    def certificate_settings(self) -> Path:
        """Which certificate is wanted, and by which image it is asked for."""
        return self.root / "proxy" / "certificate.json"

    @property
    def certificate_problem(self) -> Path:
        """Why there is no new one, while that is so."""
        return self.root / "proxy" / "certificate-problem.json"

    @property
    def releases(self) -> Path:
        """A folder for each release, named by its id."""
        return self.root / "releases"

    @property
    def secrets(self) -> Path:
        """A folder of each release's secrets, named by its id; only root may enter."""
        return self.root / "secrets"

    @property
    def secrets_key(self) -> Path:
        """What digests of secrets are made with, a key in each line; what is newest comes first."""
        return self.secrets / "key"

    @property
    def sboms(self) -> Path:
        """What is in each image, as <ID>.cdx.json; that of a release is in its folder."""
        return self.root / "sboms"

    @property
    def bundles(self) -> Path:
        """Bundles, each at <name>/<version>-<digest>."""
        return self.root / "bundles"

    @property
    def foreign_names(self) -> Path:
        """The names of images that a pull or a push has made and not yet forgotten, one a line."""
        return self.root / "foreign-names"

    @property
    def run(self) -> Path:
        """The sockets' folders, named by colour and release, and the link to the live one."""
        return self.root / "run"

    @property
    def active(self) -> Path:
        """The link to the live release's sockets, by which nginx finds them."""
        return self.run / "active"

    @property
    def canary(self) -> Path:
        """The link by which nginx finds the canary; without a canary it points to `active`."""
        return self.run / "canary"

    @property
    def shadow(self) -> Path:
        """The folder of the socket that nginx mirrors requests to; it exists while the step shadow listens."""
        return self.run / "shadow"

    @property
    def history(self) -> Path:
        """The outcome of each release, one line each."""
        return self.root / "history.jsonl"

    @property
    def lock(self) -> Path:
        """Who is deploying."""
        return self.root / "lock.json"

    @property
    def step_lock(self) -> Path:
        """Locked by the kernel while a step runs, and with it whatever the step has started."""
        return self.root / ".step-lock"

    @property
    def settings(self) -> Path:
        """What the last deployment wanted, for a rollback from this machine."""
        return self.root / "settings.json"

    @property
    def trusted_keys(self) -> Path:
        """The public keys whose signatures bundles have to carry; not there where none is asked for."""
        return self.root / "trusted-keys.pem"

    @property
    def reserve(self) -> Path:
        """Space that a rollback may take where the disk is full."""
        return self.root / ".reserve"

    def socket(self, colour: str, release: str, number: int = 1) -> Path:
        """The socket on which a replica of a release answers in a colour."""
        return self.run / socket_dir(colour, release) / socket_name(number)


def socket_dir(colour: str, release: str) -> str:
    """The folder of a release's sockets. nginx reads the release from its name."""
    return f"{colour}-{release}"


def socket_name(number: int) -> str:
    """The name of a replica's socket in that folder."""
    return f"server{suffix(number)}.sock"


def grpc_socket_name(number: int) -> str:
    """What the names of its sockets for gRPC begin with; there are none where it serves none."""
    return f"grpc{suffix(number)}.sock"


def suffix(number: int) -> str:
    """What the names of a second replica end with; the first has plain names."""
    return "" if number == 1 else f"-{number}"
