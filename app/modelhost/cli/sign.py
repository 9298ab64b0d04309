"""modelhost sign: whose files these are, so that a host serves what was signed and nothing else."""

import subprocess
from pathlib import Path
from typing import Any

import click

from modelhost.bundle.bundle import SIGNATURE, read_bundle
from modelhost.cli.bundles import latest_bundle
from modelhost.cli.files import FILE
from modelhost.cli.reports import CommandError, Report, reporting


@click.command(short_help="Sign bundles with a key of your own.")
@click.argument("bundles", nargs=-1, type=click.Path(path_type=Path))
@click.option("--key", type=FILE, metavar="FILE",
              help="The private key, in PEM: ECDSA on P-256, P-384 or P-521. Its password is asked for.")  # fmt: skip
@click.option("--make-key", metavar="NAME", type=click.Path(path_type=Path),
              help="Make a key instead: NAME.pem to sign with, and NAME.pub for those who check.")  # fmt: skip
@reporting
def sign(bundles: tuple[Path, ...], key: Path | None, make_key: Path | None) -> Report:
    """Sign BUNDLES: write model.sig into each, which says who has signed which files.

    Each is a bundle's directory, or a model's, of whose versions the latest is taken. Every file is signed,
    model.yaml too; whatever changes afterwards has to be signed again. A deployment that names the public
    key in release_trusted_keys serves bundles of that signer alone, as they were signed. Nothing is sent
    anywhere.

    Keep NAME.pem where no one else gets to it, as a secret of CI for one; NAME.pub is for everyone. Other
    ways to make a key: openssl ecparam -name prime256v1 -genkey -noout -out NAME.pem, and
    openssl pkey -in NAME.pem -pubout -out NAME.pub.

    \b
    Examples:
      modelhost sign --make-key team
      modelhost sign models/churn/3 --key team.pem
    """
    if make_key is not None and not bundles and key is None:
        return _make(make_key)
    if make_key is not None or not bundles or key is None:
        raise click.UsageError(
            "Give bundles and --key, or --make-key alone: modelhost sign models/churn/3 --key team.pem"
        )
    signing = _library()
    # Reads first, signs afterwards: what the server would refuse is not signed.
    read = [read_bundle(latest_bundle(path)) for path in bundles]
    signed, lines, password = [], [], _Password(key)
    for bundle in read:
        again = signing.sign(bundle, key, password)
        digest = read_bundle(bundle.directory).digest
        signed.append({"name": bundle.name, "version": bundle.version, "digest": digest})
        lines.append(f"{bundle.name} version {bundle.version}: {len(bundle.manifest.files) + 1} files signed"
                     f"{' again' if again else ''}, in {SIGNATURE}; digest {digest[:12]}")  # fmt: skip
    lines.append("Next: deploy with the public key in release_trusted_keys")
    return Report({"ok": True, "bundles": signed}, "\n".join(lines))


class _Password:
    """Asked for once, where it is needed."""

    def __init__(self, key: Path) -> None:
        self.key, self.typed = key, ""

    def __call__(self) -> str:
        self.typed = self.typed or click.prompt(f"Password of {self.key}", hide_input=True, err=True)
        return self.typed


def _make(name: Path) -> Report:
    private, public = _library().make_key(name)
    text = (
        f"{private}: signs, and stays with you (modelhost sign BUNDLE --key {private})\n"
        f"{public}: checks, and goes into a deployment (release_trusted_keys: [{public}])"
    )
    if _is_seen_by_git(private):
        text += f"\n{private} is in a git work tree that does not ignore it: it is secret, and must not be committed"
    return Report({"ok": True, "private": str(private), "public": str(public)}, text)


def _is_seen_by_git(file: Path) -> bool:
    """Whether `git add .` would take the file; where there is no git, or no work tree, none does."""
    command = ["git", "-C", str(file.resolve().parent), "check-ignore", "--quiet", file.name]
    try:
        ended = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        return False
    return ended.returncode == 1  # 0: it is ignored; 128: there is no work tree


def _library() -> Any:
    try:
        from modelhost.packing import signing
    except ModuleNotFoundError as error:
        raise CommandError(f"signing needs {error.name}, which is not installed: pip install './app[sign]'") from None
    return signing
