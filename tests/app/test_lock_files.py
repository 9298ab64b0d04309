"""Lock files: which lines they may have, what an image gets of them, and whether several agree."""

import re
from pathlib import Path

import pytest
from modelhost.bundle import lock_files
from modelhost.bundle.lock_files import (
    IMAGE,
    LOCKS,
    MACHINES,
    LockError,
    conflicts,
    disagreements,
    image_pins,
    locks_of,
    read_pins,
)

HASH = f"--hash=sha256:{'0' * 64}"


def pin(line: str) -> str:
    return f"{line} {HASH}\n"


def test_a_pin_has_its_name_version_and_line() -> None:
    text = f"# said\nEmoji_Pack==2.14.1 \\\n    {HASH} \\\n    --hash=sha256:{'a' * 64}  # why\n\n" + pin(
        "b==1 ; os_name=='nt'"
    )
    first, second = read_pins(text)
    assert (first.name, first.version, first.line) == ("emoji-pack", "2.14.1", "Emoji_Pack==2.14.1")
    assert (second.name, second.version, second.line) == ("b", "1", "b==1 ; os_name=='nt'")
    assert [one.holds("x86_64") for one in (first, second)] == [True, False]
    assert [one.holds_here() for one in (first, second)] == [True, False]
    assert read_pins("# nothing\n") == []


@pytest.mark.parametrize(
    "line",
    ["a==1", pin("a>=1"), pin("a"), pin("a==1,!=2"), pin("a==1.*"), pin("a @ https://b/c.whl"), pin("-r other.txt"),
     "--index-url https://a", f"a==1 --hash=sha256:{'0' * 63}", f"a==1 --hash=md5:{'0' * 32}", pin("a===1")],
)  # fmt: skip
def test_a_line_that_locks_nothing_is_refused_with_what_to_write(line: str) -> None:
    with pytest.raises(LockError, match=re.escape("write only lines such as emoji==2.14.1 --hash=sha256:")) as caught:
        read_pins(line)
    assert str(caught.value).startswith("has the line '")


def test_an_image_gets_what_its_machines_do() -> None:
    text = pin("a==1 ; platform_machine == 'aarch64'") + pin("b==2 ; sys_platform == 'win32'") + pin("c==3")
    arm, never, always = read_pins(text)
    assert [arm.holds(machine) for machine in MACHINES] == [False, True]
    assert set(image_pins({"one": text})) == {"a", "c"}
    assert (never.holds("x86_64"), always.holds("x86_64")) == (False, True)
    assert IMAGE["python_version"] == "3.13"
    for marker in ("python_version >= '3.13'", "python_full_version < '3.14'", "os_name == 'posix'",
                   "sys_platform == 'linux'", "platform_system == 'Linux'", "implementation_name == 'cpython'",
                   "platform_python_implementation == 'CPython'", "implementation_version == '3.13.0'"):  # fmt: skip
        (one,) = read_pins(pin(f"a==1 ; {marker}"))
        assert one.holds("x86_64"), marker


def test_what_two_files_pin_otherwise_is_told_once() -> None:
    one, two = pin("a==1") + pin("b==1"), pin("a==2") + pin("b==1")
    assert disagreements({"one": one, "two": two}) == [("one", "a==1", "two", "a==2")]
    assert disagreements({"one": one, "same": one}) == []
    machines = pin("a==1 ; platform_machine == 'x86_64'"), pin("a==2 ; platform_machine == 'aarch64'")
    assert disagreements(dict(zip("xy", machines, strict=True))) == []


def test_the_locks_of_an_image_are_the_servers_and_those_of_its_extras() -> None:
    assert (LOCKS / "server.lock").is_file()
    assert list(locks_of([])) == ["server"]
    assert list(locks_of(["xgboost", "pandas"])) == ["server", "xgboost", "pandas"]
    assert read_pins(locks_of(["pandas"])["pandas"])


def test_what_cannot_be_in_one_image_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_files, "LOCKS", tmp_path)
    (tmp_path / "server.lock").write_text(pin("numpy==2.0"))
    (tmp_path / "pandas.lock").write_text(pin("pandas==2.0"))
    assert conflicts([], {"iris 1": pin("numpy==2.0")}) == []
    assert conflicts([], {"iris 1": pin("numpy==1.0")}) == [
        "iris 1 needs numpy==1.0 and the server has numpy==2.0, but one image serves them all: pack iris 1 again, "
        "with --requirements that allow the other's version"
    ]
    assert conflicts(["pandas"], {"iris 1": pin("pandas==1.0")}) == [
        "iris 1 needs pandas==1.0 and the extra pandas has pandas==2.0, but one image serves them all: pack iris 1 "
        "again, with --requirements that allow the other's version"
    ]
    assert conflicts([], {"iris 1": pin("a==1"), "iris 2": pin("a==2")}) == [
        "iris 2 needs a==2 and iris 1 needs a==1, but one image serves them all: pack one of them again, with "
        "--requirements that allow the other's version"
    ]
