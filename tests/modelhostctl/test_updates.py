"""Whoever asks how an endpoint is hears in time which security updates wait, or that this is not known."""

import json
import os
import time
from pathlib import Path

import pytest
from release_host import Machine
from test_sbom import APP, PROXY, configure, has_images

from modelhostctl.host import apt
from modelhostctl.view.updates import updates_lines

PACKAGES = """\
Package: libssl3t64
Source: openssl
Architecture: amd64
Version: 3.5.1-1+deb13u1

Package: libstdc++6
Architecture: amd64
Version: 14.2.0-19

Package: login
Architecture: amd64
Version: 1:4.16.0-2+really2.41-4

Package: nano
Architecture: amd64
Version: 9

Package: bash
Architecture: amd64
Version: 5.2.37-2+deb13u1

Package: bash
Architecture: i386
Version: 6
"""
HAS = {"host": "ii |bash|amd64|5.2.37-2\nrc |nano|amd64|8.4-1\nii |login|amd64|1:4.16.0-2\n"}
LIST = "mirror.example.org_debian-security_dists_{suite}_"


class Patched(Machine):
    """The machine with lists of a security archive, on a system of one's choice."""

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.os_release, self.lists = self.bin / "os", self.bin / "lists"
        self.lists.mkdir()
        self.is_debian("trixie")
        self.has_lists("trixie-security", "Suite: stable-security\nCodename: trixie-security")
        (self.lists / "mirror.example.org_debian_dists_trixie_InRelease").write_text("Codename: trixie")
        (self.lists / "mirror.example.org_debian_dists_trixie_main_binary-amd64_Packages").write_text("Package: zlib")
        self.program("apt-helper", '#!/bin/sh\nshift; exec cat "$@"\n')
        self.program("dpkg-query", f"#!/bin/sh\ncat <<'X'\n{HAS['host']}X\n")
        monkeypatch.setattr(apt, "HELPER", "apt-helper")
        monkeypatch.setattr(apt, "LISTS", self.lists)
        monkeypatch.setattr("modelhostctl.view.updates.OS_RELEASE", self.os_release)

    def has_lists(self, suite: str, said: str, ending: str = "") -> None:
        """What apt has fetched of an archive that sources name so."""
        self.release = self.lists / f"{LIST.format(suite=suite)}InRelease"
        self.packages = self.lists / f"{LIST.format(suite=suite)}main_binary-amd64_Packages{ending}"
        self.release.write_text(f"-----BEGIN PGP SIGNED MESSAGE-----\n\nOrigin: Debian\n{said}\n")
        self.packages.write_text(PACKAGES)

    def is_debian(self, codename: str) -> None:
        self.os_release.write_text(f"ID=debian\nVERSION_CODENAME={codename}\n")


@pytest.fixture
def patched(folders, monkeypatch, capsys):
    """A machine whose app runs from an image of which it is known what is in it."""
    machine = Patched(*folders)
    machine.patch(monkeypatch)
    has_images(machine, APP, PROXY)
    for name in ("modelhost-blue", "modelhost-green"):
        found = json.loads(machine.file("").read_text())
        for one in found:
            if one["Name"] == f"/{name}":
                one["Config"]["Image"] = APP
        machine.file("").write_text(json.dumps(found))
    configure(machine, capsys)
    yield machine
    machine.close()


def status(machine: Machine, capsys) -> tuple[dict, list[str]]:
    """The updates as data and in words."""
    assert machine.type("status", "--json", "--history-lines", "0") == 0
    answer = json.loads(capsys.readouterr().out)
    return answer["status"]["updates"], [line for line in answer["lines"] if line.startswith("updates: ")]


def test_what_waits_is_counted_by_name_for_the_host_and_for_what_runs(patched, capsys):
    updates, lines = status(patched, capsys)
    assert updates["waiting"] == [
        {"of": "host", "packages": ["bash", "login"], "why": "", "day": ""},
        {"of": APP, "packages": ["libssl3t64"], "why": "", "day": "2026-01-01"},
    ]
    assert lines == [
        "updates: 2 security updates wait for host: bash, login",
        f"updates: 1 security update waits for {APP}: libssl3t64",
        "updates: apt's lists are 0 hours old",
        "updates: `make upgrade` brings them live without a lost request (playbooks/upgrade.yml)",
    ]


def test_what_waits_for_an_image_that_was_pulled_comes_with_another_one_from_the_registry():
    pulled = {"of": f"modelhost-app:sha256-{'0' * 64}", "packages": ["login"], "why": "", "day": "2026-01-01"}
    lines = updates_lines({"lists_age_seconds": 0, "waiting": [pulled]})
    assert f"updates: {pulled['of']} was pulled: `make image` builds and pushes one of today, to be" in lines[-1]
    host = pulled | {"of": "host"}
    lines = updates_lines({"lists_age_seconds": 0, "waiting": [host, pulled]})
    assert "`make upgrade` brings them live" in lines[-1]


def test_where_nothing_waits_that_is_one_line_and_no_one_is_sent_to_upgrade(patched, capsys):
    patched.packages.write_text(PACKAGES.replace("deb13u1", "deb13u0").split("Package: libstdc++6")[1])
    _, lines = status(patched, capsys)
    assert lines[0] == "updates: 2 security updates wait for host: bash, login"
    patched.packages.write_text("Package: nano\nArchitecture: amd64\nVersion: 9\n")
    _, lines = status(patched, capsys)
    assert lines == [
        f"updates: no security update waits for host, {APP}",
        "updates: apt's lists are 0 hours old",
    ]


@pytest.mark.parametrize(("days", "said"), [(2, "48 hours old"), (4, "4 days old, and more may wait")])
def test_the_age_of_the_lists_is_said_and_more_than_three_days_are_too_many(patched, capsys, days, said):
    past = time.time() - days * 86400
    for path in (*patched.lists.glob("*Release"), patched.lists):
        os.utime(path, (past, past))
    updates, lines = status(patched, capsys)
    assert updates["lists_age_seconds"] // 3600 == days * 24
    assert any(said in line for line in lines)


def test_an_image_of_another_system_says_its_day_and_not_that_nothing_waits(patched, capsys):
    patched.is_debian("bookworm")
    updates, lines = status(patched, capsys)
    assert [one["packages"] for one in updates["waiting"]] == [None, None]
    assert "updates: of host it is not known: apt has no list of bookworm-security" in lines[0]
    assert f"updates: of {APP} it is not known: the host's lists are of another system; its packages are of" in lines[1]
    assert "2026-01-01, " in lines[1]
    assert lines[1].endswith("days ago")


@pytest.mark.parametrize(
    "name", ["other/base:build-20269999", "base:1-00000000", "base:v-\u0662\u0660\u0662\u0660\u0660\u0661\u0660\u0661"]
)
def test_a_base_whose_name_ends_in_digits_that_are_no_day_has_none(patched, capsys, name):
    engine = patched.bin / "docker"
    engine.write_text(engine.read_text().replace("modelhost-base:trixie-1-20260101", name))
    patched.is_debian("bookworm")
    updates, lines = status(patched, capsys)
    assert [one["day"] for one in updates["waiting"]] == ["", ""]
    assert "the host's lists are of another system" in lines[1]


def test_an_image_that_is_not_listed_yet_is_not_known(patched, capsys):
    for file in patched.layout.sboms.glob("*"):
        file.unlink()
    updates, _ = status(patched, capsys)
    assert updates["waiting"][1]["packages"] is None
    assert "not listed yet" in updates["waiting"][1]["why"]


@pytest.mark.parametrize("text", ["{}", "[]", '{"components": [{}]}', '{"components": []}'])
def test_a_list_that_was_damaged_is_not_known(patched, capsys, text):
    for file in patched.layout.sboms.glob("*"):
        file.write_text(text)
    updates, _ = status(patched, capsys)
    assert updates["waiting"][1]["packages"] is None


BROKEN = {
    "apt fails": ("apt-helper", "#!/bin/sh\necho 'E: \x1b[2Jbroken' >&2; exit 100\n", "apt-helper says E: "),
    "apt hangs": ("apt-helper", "#!/bin/sh\nexec sleep 60\n", "apt-helper took too long"),
    "there is no apt": ("apt-helper", None, "apt-helper cannot be asked"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_cannot_be_said_is_unknown_and_status_is_answered_in_time(patched, capsys, how):
    name, program, said = BROKEN[how]
    if program is None:
        (patched.bin / name).unlink()
    else:
        patched.program(name, program)
    begun = time.monotonic()
    updates, lines = status(patched, capsys)
    assert time.monotonic() - begun < 5
    assert [one["packages"] for one in updates["waiting"]] == [None, None]
    assert all(said in one["why"] for one in updates["waiting"])
    assert not any("no security update waits" in line or "make upgrade" in line for line in lines)
    assert all(line.isprintable() for line in lines)


def test_a_host_without_lists_says_how_to_have_them(patched, capsys):
    for file in patched.lists.glob("*"):
        file.unlink()
    updates, lines = status(patched, capsys)
    assert updates["lists_age_seconds"] is None
    assert "updates: apt has no lists; `sudo apt-get update` on the host fetches them" in lines


@pytest.mark.parametrize(
    ("suite", "said", "ending"),
    [
        ("stable-security", "Suite: stable-security\nCodename: trixie-security", ".lz4"),
        ("trixie-security", "Suite: trixie-security\nCodename: trixie", ""),  # as Ubuntu names its own
    ],
)
def test_the_archive_is_found_by_what_it_calls_itself(patched, capsys, suite, said, ending):
    for file in patched.lists.glob("*-security_*"):
        file.unlink()
    patched.has_lists(suite, said, ending)
    assert status(patched, capsys)[0]["waiting"][0]["packages"] == ["bash", "login"]


def test_the_archive_of_another_release_is_not_asked(patched, capsys):
    patched.release.write_text("Suite: stable-security\nCodename: forky-security\n")
    assert "apt has no list of trixie-security" in status(patched, capsys)[0]["waiting"][0]["why"]


def test_this_machines_own_apt_is_understood():
    if not Path("/var/lib/dpkg/status").is_file():
        pytest.skip("no Debian")
    packages = apt.installed(30)
    assert len(packages) > 50
    older = apt.SecurityList({key: {"1:999999"} for key in list(packages)[:3]})
    assert older.waiting(packages, 30) == sorted({name for name, _ in list(packages)[:3]})
    assert apt.SecurityList({key: {version} for key, version in packages.items()}).waiting(packages, 30) == []
