"""Compare what sshd does with what it is to do, and find the lines of its files that are in the way."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

LISTS = {"kexalgorithms", "ciphers", "macs", "hostkeyalgorithms"}
# In seconds, or a number; 0 is none at all.
AT_MOST = {"logingracetime", "clientaliveinterval", "clientalivecountmax"}
# Of these, yes is the most that there is.
ALLOWING = {"allowtcpforwarding", "allowstreamlocalforwarding"}
LOG_LEVELS = ["QUIET", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3"]
OTHER_NAMES = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "skeyauthentication": "kbdinteractiveauthentication",
}
# A digest, which promises nothing.
NOT_COMPARED = {"versionaddendum"}
# Of what a Match may ask, what has no value.
WITHOUT_VALUE = {"all", "canonical", "final", "invalid-user"}
SETTING = re.compile(r'\s*"?([A-Za-z0-9]+)"?(?:\s*=\s*|\s+)(.*)')
OPTION = re.compile(r'\s-o\s*"?([A-Za-z0-9]+)[ =]+"?([^\s"]+)')
STARTED_WITH = "what sshd was started with (see systemctl cat ssh, and restart it behind it)"
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class Match:
    """A line that begins a block, which counts for some connections only; and the blocks that its file stands in."""

    criteria: str
    place: str
    around: tuple[Match, ...] = ()

    def names_others_alone(self, members: dict[str, set[str]]) -> bool:
        """Whether it is for accounts or groups that it names, and none of the members or of their groups is one."""
        return any(one.names_others_alone(members) for one in self.around) or any(
            _names(values, set(members)) if kind == "user" else _names(values, set().union(*members.values()))
            for kind, values in _criteria(self.criteria)
            if kind in {"user", "group"}
        )

    def may_be(self, user: str) -> bool:
        """Whether it may be for this account; only what names others plainly is not."""
        return all(one.may_be(user) for one in self.around) and not any(
            kind == "user" and _names(values, {user}) for kind, values in _criteria(self.criteria)
        )


@dataclass(frozen=True)
class Line:
    """A setting of one of sshd's files; without a number, one of its command line."""

    file: str
    number: int
    text: str
    keyword: str
    value: str
    match: Match | None

    def __str__(self) -> str:
        block = f", in the block of {self.match.place} ({self.match.criteria})" if self.match else ""
        place = f"{self.file}:{self.number}" if self.number else self.file
        return f"{place} ({self.text.strip()}){block}"


@dataclass
class Look:
    """What check_sshd_look.sh has told: by account, what is in effect, what it said instead, its groups; all lines."""

    effective: dict[str, dict[str, str]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)


@dataclass(frozen=True)
class Finding:
    """A setting that is less strict than it has to be."""

    keyword: str
    wanted: str
    found: str
    users: tuple[str, ...]
    line: Line | None

    def __str__(self) -> str:
        whom = f" for {' and '.join(self.users)}" if self.users else ""
        by = f": {self.line}" if self.line else ", which no line says that comes before"
        return f"{self.keyword} is {self.found or 'not set'}{whom}, and has to be {self.wanted}{by}"


def settings_of(text: str) -> dict[str, tuple[str, str]]:
    """By keyword in small letters, the keyword as it is written and its value, of a file of settings without blocks."""
    found = [setting.groups() for line in text.splitlines() if (setting := SETTING.match(line))]
    return {keyword.lower(): (keyword, value) for keyword, value in found if keyword.lower() not in NOT_COMPARED}


def read_look(told: str) -> Look:
    """Read what check_sshd_look.sh has printed."""
    look = Look()
    # By file that is open: its name, and the block that is open in it.
    files: list[str] = []
    blocks: list[Match | None] = []
    for printed in told.splitlines():
        kind, _, rest = printed.partition(" ")
        if kind in {"effective", "problem", "groups"}:
            user, _, rest = rest.partition(" ")
            if kind == "effective":
                keyword, _, value = rest.partition(" ")
                look.effective.setdefault(user, {}).setdefault(keyword, value)
            elif kind == "problem":
                look.problems[user] = f"{look.problems.get(user, '')} {rest}".strip()
            else:
                look.groups[user] = set(rest.split())
        elif kind == "running" and rest.startswith("sshd: "):
            for keyword, value in OPTION.findall(rest):
                key = OTHER_NAMES.get(keyword.lower(), keyword.lower())
                look.lines.append(Line(STARTED_WITH, 0, f"-o {keyword}={value}", key, value, None))
        elif kind == "file":
            files.append(rest)
            # A block ends with its file, and counts for what it includes.
            blocks.append(blocks[-1] if blocks else None)
        elif kind == "end" and files:
            files.pop()
            blocks.pop()
        elif kind == "line" and files:
            number, _, text = rest.partition(":")
            if not (setting := SETTING.match(text)):
                continue
            keyword, value = setting[1].lower(), _words(setting[2])
            if keyword == "match":
                outer = blocks[-2] if len(blocks) > 1 else None
                around = (*outer.around, outer) if outer else ()
                blocks[-1] = Match(f"Match {value}", f"{files[-1]}:{number}", around)
                continue
            line = Line(files[-1], int(number), text, OTHER_NAMES.get(keyword, keyword), value, blocks[-1])
            look.lines.append(line)
    return look


def compare(
    look: Look, wanted: dict[str, tuple[str, str]], file: str, written: bool
) -> tuple[list[Finding], list[str]]:
    """What is less strict than what is wanted, and in words what is so for accounts that a block names alone.

    `file` is where the wanted settings stand; where they are not `written` yet, only lines that would win are found.
    """
    findings: list[Finding] = []
    if written:
        for key, (keyword, value) in wanted.items():
            by_value: dict[str, list[str]] = {}
            for user, effective in look.effective.items():
                if not is_as_strict(key, value, found := effective.get(key, "")):
                    by_value.setdefault(found, []).append(user)
            findings += [
                Finding(keyword, value, found, tuple(users), cause(look.lines, key, found, file, users))
                for found, users in by_value.items()
            ]
    others = []
    for line in _in_the_way(look.lines, wanted, file):
        keyword, value = wanted[line.keyword]
        if line.keyword == "permitrootlogin" and line.match and not line.match.may_be("root"):
            continue
        if line.match and line.match.names_others_alone(look.groups):
            others.append(f"{keyword} {line.value} by {line}")
        elif line not in [finding.line for finding in findings if finding.keyword == keyword]:
            findings.append(Finding(keyword, value, line.value, (), line))
    return findings, others


def is_as_strict(keyword: str, wanted: str, found: str) -> bool:
    """Whether a value allows no more than the wanted one."""
    if keyword in LISTS:
        return set(found.split(",")) <= set(wanted.split(","))
    if keyword in AT_MOST:
        return 0 < _seconds(found) <= _seconds(wanted)
    if keyword == "loglevel" and found.upper() in LOG_LEVELS:
        return LOG_LEVELS.index(found.upper()) >= LOG_LEVELS.index(wanted.upper())
    return (keyword in ALLOWING and wanted.lower() == "yes") or found.lower() == wanted.lower()


def cause(lines: list[Line], key: str, found: str, file: str, users: Iterable[str]) -> Line | None:
    """The line that gives a value: the first one of all, or one of a block, which takes that one's place."""
    same = [line for line in lines if line.keyword == key and line.file != file]
    in_blocks = [line for line in same if line.match and any(line.match.may_be(user) for user in users)]
    first = [line for line in lines if line.keyword == key and not line.match][:1]
    everywhere = [line for line in first if line.file != file]
    exact = [line for line in in_blocks + everywhere if line.value.lower() == found.lower()]
    return next(iter(exact + everywhere + in_blocks), None)


def _in_the_way(lines: list[Line], wanted: dict[str, tuple[str, str]], file: str) -> list[Line]:
    """Lines that win over the file's: those of blocks, and for each keyword the first one of all if it comes before."""
    before = lines[: _place_of(file, lines) or 0]
    first: dict[str, Line] = {}
    for line in before:
        if not line.match:
            first.setdefault(line.keyword, line)
    return [
        line
        for line in lines
        if line.keyword in wanted
        and line.file != file
        and (line.match is not None or first.get(line.keyword) == line)
        and not is_as_strict(line.keyword, wanted[line.keyword][1], line.value)
    ]


def _place_of(file: str, lines: list[Line]) -> int | None:
    """Before which line a file stands or would stand, by the first Include that names it; None where none does."""
    for number, line in enumerate(lines):
        if line.keyword != "include" or line.match:
            continue
        # Not fnmatch: no star stands for a slash.
        if any(PurePosixPath(file).match(str(PurePosixPath("/etc/ssh", pattern))) for pattern in line.value.split()):
            place = number + 1
            folder = str(PurePosixPath(file).parent)
            # What the same folder has before it. Files that those include are read with them.
            while place < len(lines) and lines[place].file != line.file:
                if lines[place].file >= file and str(PurePosixPath(lines[place].file).parent) == folder:
                    break
                place += 1
            return place
    return None


def _criteria(text: str) -> list[tuple[str, list[str]]]:
    """Of "Match User a,b Address c": user with a and b, and so on."""
    words = [word for word in re.sub(r"\s*=\s*", " ", text).split()[1:] if word.lower() not in WITHOUT_VALUE]
    return [(kind.lower(), values.split(",")) for kind, values in zip(words[::2], words[1::2], strict=False)]


def _names(values: list[str], those: set[str]) -> bool:
    """Whether only names are given, no patterns, and none of those. What stands behind a ! only takes some away."""
    named = {value for value in values if not value.startswith("!")}
    return all(re.fullmatch(r"[^*?]+", value) for value in named) and not named & those


def _words(value: str) -> str:
    """A value without quotes and what is behind a #."""
    try:
        return " ".join(shlex.split(value, comments=True))
    except ValueError:
        return value.strip()


def _seconds(value: str) -> int:
    """A number, or a time as sshd reads it, such as 1m30s; -1 for anything else."""
    if not re.fullmatch(r"(\d+[smhdw]?)+", value.lower()):
        return -1
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+)([smhdw]?)", value.lower()))
