"""What stands in the way of the roles' settings of sshd is found, by sshd's own word and by the lines of its files."""

import subprocess
import textwrap
from pathlib import Path

import pytest
from rendering import PROJECT, Read

from plugins.plugin_utils.sshd_settings import Finding, compare, is_as_strict, read_look, settings_of

OURS = "/etc/ssh/sshd_config.d/00-0-modelhost.conf"
MINE = "PermitRootLogin no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nAllowTcpForwarding no\n"
LOOK = (PROJECT / "plugins" / "action" / "check_sshd_look.sh").read_text()
SSHD_CONFIG = "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nX11Forwarding yes\nPasswordAuthentication yes\n"


@pytest.fixture
def look(read: Read):
    """Have sshd of Debian 13 and our script read files; by name in sshd_config.d, and sshd_config itself."""

    def tell(
        files: dict[str, str] | None = None,
        behind: str = "",
        config: str = SSHD_CONFIG,
        users: str = "root deploy modelhost-stranger",
        first: str = "",
        last: str = "",
    ) -> str:
        written = {"/etc/ssh/sshd_config": config + textwrap.dedent(behind)} | {
            f"/etc/ssh/sshd_config.d/{name}": textwrap.dedent(text) for name, text in (files or {}).items()
        }
        write = "\n".join(f"cat > '{path}' <<'END'\n{text}\nEND" for path, text in written.items())
        clean = "ssh-keygen -qA; mkdir -p /run/sshd /etc/ssh/sshd_config.d; rm -f /etc/ssh/sshd_config.d/*"
        ask = f"export SSH_CONNECTION='203.0.113.9 4711 10.0.0.2 22'\nset -- {users}\n{LOOK}"
        told = read(f"{clean}\n{write}\n{first}\n{ask}\n{last}", "sh -s")
        assert told.returncode == 0, told.stderr
        return told.stdout

    return tell


def judge(told: str, written: bool = True) -> tuple[list[Finding], list[str]]:
    return compare(read_look(told), settings_of(MINE), OURS, written)


@pytest.mark.parametrize("written", [True, False])
def test_a_host_as_it_comes_has_nothing_in_the_way(look, written):
    files = {"00-0-modelhost.conf": MINE} if written else {}
    assert judge(look(files | {"50-cloud-init.conf": "PasswordAuthentication yes\n"}), written) == ([], [])


@pytest.mark.parametrize("written", [True, False])
def test_a_file_that_is_read_before_ours_is_named(look, written):
    files = {"00-0-modelhost.conf": MINE} if written else {}
    told = look({"00-!vendor.conf": "# theirs\nPermitRootLogin yes\n  allowtcpforwarding=yes # all\n"} | files)
    findings, _ = judge(told, written)
    assert {(one.keyword, one.found) for one in findings} == {("PermitRootLogin", "yes"), ("AllowTcpForwarding", "yes")}
    (root, _) = sorted(findings, key=lambda one: one.keyword != "PermitRootLogin")
    assert "/etc/ssh/sshd_config.d/00-!vendor.conf:2 (PermitRootLogin yes)" in str(root)
    assert "has to be no" in str(root)
    assert ("for root and deploy and modelhost-stranger" in str(root)) == written


def test_a_line_before_the_include_is_named(look):
    told = look({"00-0-modelhost.conf": MINE}, config=f"PasswordAuthentication yes\n{SSHD_CONFIG}")
    findings, _ = judge(told)
    assert [str(one.line) for one in findings] == ["/etc/ssh/sshd_config:1 (PasswordAuthentication yes)"]


def test_the_first_line_counts_and_not_one_that_would_come_before_ours_as_well(look):
    told = look(
        {"00-!b.conf": "PermitRootLogin no\n", "00-!c.conf": "PermitRootLogin yes\n", "00-0-modelhost.conf": MINE}
    )
    assert judge(told) == ([], [])


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize(
    ("block", "keyword"),
    [
        ("Match User root\n  PermitRootLogin prohibit-password\n", "PermitRootLogin"),
        ("Match all\n  PermitRootLogin without-password\n", "PermitRootLogin"),
        # Not from here, and all the same.
        ("Match Address 198.51.100.0/24\n  PermitRootLogin yes\n", "PermitRootLogin"),
        ("Match LocalPort 2222\n  PasswordAuthentication yes\n", "PasswordAuthentication"),
        ("Match User deploy\n  AllowTcpForwarding local\n", "AllowTcpForwarding"),
        ("Match User *,!root\n  ChallengeResponseAuthentication yes\n", "KbdInteractiveAuthentication"),
        ("Match Group root\n  PasswordAuthentication yes\n", "PasswordAuthentication"),
        ('match user="root"\n  permitrootlogin="forced-commands-only"\n', "PermitRootLogin"),
        ("Match User r*\n  PermitRootLogin yes\n", "PermitRootLogin"),
        ("Match Address * User partner,root\n  PermitRootLogin yes\n", "PermitRootLogin"),
    ],
)
def test_a_block_that_opens_for_root_the_account_or_anyone_is_named(look, block, keyword, written):
    findings, others = judge(look({"00-0-modelhost.conf": MINE} if written else {}, behind=block), written)
    assert [one.keyword for one in findings] == [keyword]
    assert "/etc/ssh/sshd_config:6 (" in str(findings[0])
    assert "in the block of /etc/ssh/sshd_config:5 (Match " in str(findings[0])
    assert others == []


def test_what_a_block_opens_for_others_alone_is_told_and_left(look):
    told = look({"00-0-modelhost.conf": MINE, "60-p.conf": "Match User partner\nPasswordAuthentication yes\n"})
    findings, others = judge(told)
    assert findings == []
    assert others == [
        "PasswordAuthentication yes by /etc/ssh/sshd_config.d/60-p.conf:2 (PasswordAuthentication yes), "
        "in the block of /etc/ssh/sshd_config.d/60-p.conf:1 (Match User partner)"
    ]


def test_what_a_block_says_of_roots_login_to_others_opens_nothing(look):
    assert judge(look({"00-0-modelhost.conf": MINE}, behind="Match User partner\nPermitRootLogin yes\n")) == ([], [])


def test_a_block_ends_with_its_file_and_counts_for_what_it_includes(look):
    files = {
        "00-0-modelhost.conf": MINE,
        "60-a.conf": "Match User partner\nX11Forwarding no\n",
        "70-b.conf": "PasswordAuthentication yes\nMatch User partner\nInclude /etc/ssh/sshd_config.d/more\n",
        "more": "PasswordAuthentication yes\nMatch all\nAllowTcpForwarding yes\n",
    }
    findings, others = judge(look(files))
    assert findings == []
    assert len(others) == 2


def test_what_is_stricter_is_well(look):
    assert judge(look({"00-!a.conf": "AllowTcpForwarding no\n", "00-0-modelhost.conf": MINE})) == ([], [])


def test_where_sshd_does_not_read_ours_it_says_that_no_line_comes_before(look):
    findings, _ = judge(look({"00-0-modelhost.conf": MINE}, config="PasswordAuthentication no\nUsePAM yes\n"))
    by = {one.keyword: str(one) for one in findings}
    assert "which no line says" in by["PermitRootLogin"]


@pytest.mark.parametrize("criteria", ["Match User partner,!root", "Match Group !root,partners", "Match User !root"])
def test_an_account_behind_an_exclamation_mark_is_not_named(look, criteria):
    findings, _ = judge(look({"00-0-modelhost.conf": MINE}, behind=f"{criteria}\nPasswordAuthentication yes\n"))
    assert findings == []


ELSEWHERE = "Match Address 198.51.100.0/24\n  PermitRootLogin yes\n"


@pytest.mark.parametrize(
    "include",
    [
        "Include '/etc/ssh/sshd_config.d/a b'",
        'include = "sshd_config.d/a b" # don\'t',
        r"Include nothing sshd_config.d/a\ b",
        "Include sshd_config.d/*b",
    ],
)
def test_a_file_with_a_space_in_its_name_is_read_as_sshd_reads_it(look, include):
    findings, _ = judge(look({"00-0-modelhost.conf": MINE, "a b": ELSEWHERE}, behind=include))
    assert [str(one.line).partition(" (")[0] for one in findings] == ["/etc/ssh/sshd_config.d/a b:2"]


@pytest.mark.parametrize("name", ["a b.conf", "a\nb.conf", "-a.conf"])
def test_a_file_of_an_odd_name_is_read(look, name):
    findings, _ = judge(look({"00-0-modelhost.conf": MINE, name: ELSEWHERE}))
    assert [one.keyword for one in findings] == ["PermitRootLogin"]


@pytest.mark.parametrize("before", [r"Banner /etc/\c", "# Gr\u00fc\u00dfe"])
def test_no_other_line_keeps_one_from_being_seen(look, before):
    findings, _ = judge(look({"00-0-modelhost.conf": MINE, "50-x.conf": f"{before}\n{ELSEWHERE}"}))
    assert [one.line.number for one in findings] == [3]


def test_a_backslash_in_a_name_stays_one(look):
    block = "Match Group DOMAIN\\\\admins\n  PasswordAuthentication yes\n"
    _, others = judge(look({"00-0-modelhost.conf": MINE}, behind=block))
    assert "Match Group DOMAIN\\admins" in others[0]


def test_an_odd_account_is_asked_for_like_any_other(look):
    told = read_look(look({"00-0-modelhost.conf": MINE}, users=r"root 'DOMAIN\cn&o/x'"))
    assert told.effective.keys() == {"root", r"DOMAIN\cn&o/x"}
    assert told.effective[r"DOMAIN\cn&o/x"]["permitrootlogin"] == "no"


def test_files_that_include_each_other_without_end_are_not_read(look):
    told = read_look(look({f"{name}.conf": "Include /etc/ssh/sshd_config.d/*.conf\n" for name in "abc"}))
    assert "Too many recursive" in told.problems["root"]
    assert told.lines == []


def test_what_sshd_was_started_with_comes_before_all_files(look):
    options = '-o Port=22999 -o "AuthorizedKeysCommand /usr/bin/true %u" -o AuthorizedKeysCommandUser=root'
    ours = {"00-0-modelhost.conf": MINE}
    started = "/usr/sbin/sshd -o ListenAddress=127.0.0.1 {}; while [ ! -s /run/sshd.pid ]; do sleep 0.1; done"
    end = "kill $(cat /run/sshd.pid); while [ -e /run/sshd.pid ]; do sleep 0.1; done"
    assert judge(look(ours, first=started.format(options), last=end)) == ([], [])
    opened = f'{options} -oPermitRootLogin=yes -o "PasswordAuthentication yes"'
    findings, _ = judge(look(ours, first=started.format(opened), last=end))
    assert {one.keyword: one.line.text for one in findings} == {
        "PermitRootLogin": "-o PermitRootLogin=yes",
        "PasswordAuthentication": "-o PasswordAuthentication=yes",
    }
    assert "what sshd was started with" in str(findings[0])


def test_a_star_stands_for_no_slash(look):
    files = f"Include /etc/ssh/*.conf\nPermitRootLogin yes\n{SSHD_CONFIG}"
    findings, _ = judge(look(config=files), written=False)
    assert [str(one.line) for one in findings] == ["/etc/ssh/sshd_config:2 (PermitRootLogin yes)"]


def test_what_sshd_says_of_files_that_it_cannot_read_is_kept(look):
    found = read_look(look({"00-x.conf": "PermitRootLogin maybe\n"}))
    assert "unsupported option" in found.problems["root"]


@pytest.mark.parametrize(
    ("keyword", "wanted", "found", "strict"),
    [
        ("ciphers", "a,b", "b", True),
        ("ciphers", "a,b", "b,c", False),
        ("ciphers", "a,b", "+b", False),
        ("ciphers", "a,b", "", False),
        ("logingracetime", "30", "15", True),
        ("logingracetime", "30", "1m", False),
        ("logingracetime", "30", "0", False),
        ("loglevel", "VERBOSE", "DEBUG", True),
        ("loglevel", "VERBOSE", "INFO", False),
        ("allowtcpforwarding", "yes", "no", True),
        ("allowtcpforwarding", "no", "local", False),
    ],
)
def test_stricter_is_well_and_laxer_is_not(keyword, wanted, found, strict):
    assert is_as_strict(keyword, wanted, found) == strict


def test_a_digest_promises_nothing():
    assert settings_of("# words here\nVersionAddendum abc\nPermitRootLogin no\n") == {
        "permitrootlogin": ("PermitRootLogin", "no")
    }


def test_the_script_needs_no_more_than_a_shell(tmp_path: Path):
    (tmp_path / "look.sh").write_text(LOOK)
    assert subprocess.run(["sh", "-n", tmp_path / "look.sh"], check=False).returncode == 0
