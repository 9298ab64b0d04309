"""How a command may reach a server: the CA whose certificates it accepts, and the key that it shows."""

import functools
import os
import ssl
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from modelhost.cli.files import FILE
from modelhost.cli.reports import CommandError

KEY = "MODELHOST_KEY"  # the environment variable of a client's key
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Access:
    """What the options and the environment give; nothing of it by default."""

    ca: Path | None = None  # of certificates in PEM; without, those that this machine trusts, or SSL_CERT_FILE
    key: str = field(default="", repr=False)
    key_from: str = ""  # where the key stands, for people

    @classmethod
    def given(cls, ca: Path | None, key_file: Path | None) -> "Access":
        """By the options, and by the environment where they have no key; raises CommandError."""
        if key_file is not None:
            return cls(ca, _key(_read(key_file), str(key_file)), str(key_file))
        if os.environ.get(KEY, "").strip():
            return cls(ca, _key(os.environ[KEY], KEY), KEY)
        return cls(ca)

    @property
    def given_by_options(self) -> bool:
        """Whether the person who typed the command meant a server."""
        return self.ca is not None or self.key_from not in ("", KEY)

    def context(self, url: str) -> ssl.SSLContext | None:
        """By which a certificate is judged, where `url` has one; raises CommandError where the CA's file is none."""
        if not url.startswith("https://"):
            return None
        try:
            return ssl.create_default_context(cafile=self.ca)
        except OSError as error:  # ssl.SSLError is one
            raise CommandError(f"--ca {self.ca} holds no certificates in PEM ({error}): give the CA's own") from None

    def header(self, url: str) -> str:
        """The value of Authorization, empty without a key; raises CommandError where others could read it."""
        parts = urllib.parse.urlsplit(url)
        if self.key and parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise CommandError(
                f"the key in {self.key_from} would go to {parts.netloc} unencrypted: write https:// instead of "
                "http://, or leave the key out"
            )
        return f"Bearer {self.key}" if self.key else ""


def reaches_servers(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of an Access, and hand it that as `access`."""

    @click.option("--ca", type=FILE, metavar="FILE",
                  help="The certificate of the server's CA, in PEM, where it is none that this machine knows. "
                       "SSL_CERT_FILE in the environment does as well.")  # fmt: skip
    @click.option("--key-file", type=FILE, metavar="FILE",
                  help=f"A file with the client's key, where the server wants one. {KEY} in the environment does as "
                       "well. The key itself is no option, since others see command lines.")  # fmt: skip
    @functools.wraps(command)
    def run(*arguments: Any, ca: Path | None, key_file: Path | None, **options: Any) -> Any:
        return command(*arguments, access=Access.given(ca, key_file), **options)

    return run


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
    except OSError as error:
        raise CommandError(f"--key-file {file} cannot be read: {error.strerror}") from None


def _key(text: str, where: str) -> str:
    """The key in a text, which is never shown; raises CommandError."""
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise CommandError(f"{where} holds no key: it has to be the key alone, in one line, as make key printed it")
    return key
