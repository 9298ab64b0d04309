"""What a virtual machine says of its kernel, processes and memory is read right, and judged."""

import pytest
from checks.on_a_vm import ALL, login, modules, swap
from readers import kernel
from row import CheckError

FILE = """# Managed
net.ipv4.conf.*.send_redirects = 0
kernel.kptr_restrict = 2
"""
FOUND = """net/ipv4/conf/all/send_redirects:0
net/ipv4/conf/docker0/send_redirects:0
net/ipv4/conf/docker0/rp_filter:2
kernel/kptr_restrict:2
"""


def test_each_setting_is_compared_on_every_interface():
    assert kernel.differing(FILE, kernel.settings(FOUND)) == (3, [])


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (
            FOUND.replace("docker0/send_redirects:0", "docker0/send_redirects:1"),
            "net/ipv4/conf/docker0/send_redirects is 1, not 0",
        ),
        (FOUND.replace("kptr_restrict:2", "kptr_restrict:0"), "kernel/kptr_restrict is 0, not 2"),
        (FOUND.replace("kernel/kptr_restrict:2\n", ""), "this kernel has no kernel.kptr_restrict"),
    ],
)
def test_a_setting_that_is_another_or_missing_is_named(found, problem):
    assert kernel.differing(FILE, kernel.settings(found))[1] == [problem]


def test_memory_is_read_and_half_an_answer_is_refused():
    text = "MemTotal: 1014784 kB\nMemAvailable: 524288 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nHugePages_Total: 0\n"
    assert kernel.memory_mb(text)["MemTotal"] == 991
    with pytest.raises(ValueError, match="MemAvailable"):
        kernel.memory_mb(text.replace("MemAvailable", "MemFree"))


def test_a_process_under_another_profile_is_named():
    confined, *others = "proxy 7 docker-default (enforce)", "blue 8 docker-default (complain)", "blue 9 unconfined"
    assert kernel.unconfined("\n".join([confined, *others]), "docker-default (enforce)") == (3, others)


def test_a_process_that_ended_meanwhile_is_not_taken_for_confined():
    assert kernel.unconfined("modelhost-blue 9 \n", "docker-default (enforce)")[1] == ["modelhost-blue 9"]


@pytest.mark.parametrize(
    ("root", "deploy", "kept"),
    [
        ("root@127.0.0.1: Permission denied (publickey).", "", True),
        ("", "", False),
        ("root@127.0.0.1: Permission denied (publickey,password).", "", False),
        ("Connection reset by peer", "", False),
        ("root@127.0.0.1: Permission denied (publickey).", "Connection timed out", False),
    ],
)
def test_root_is_refused_by_keys_alone_and_deploy_is_let_in(root, deploy, kept):
    assert login.judge(root, deploy).kept is kept


def test_a_module_that_is_loaded_is_named_and_none_at_all_is_no_proof():
    assert modules.judge("sctp yes no\ndccp no no\n").measured == "0 of 1"
    told = modules.judge("sctp yes yes\nrds yes no\n")
    assert (told.measured, told.kept) == ("1 of 2", False)
    assert "loaded: sctp" in told.notes
    with pytest.raises(CheckError, match="dccp"):
        modules.judge("dccp no no\n")


SWAPS = "Filename Type Size Used Priority\n/swapfile file 1048572 0 -2\n"


@pytest.mark.parametrize(
    ("table", "swappiness", "mode", "kept"),
    [
        (SWAPS, 10, "600:root", True),
        ("Filename Type Size Used Priority\n", 10, "600:root", False),
        (SWAPS, 60, "600:root", False),
        (SWAPS, 10, "644:root", False),
        (SWAPS + "/dev/vdb partition 1048572 0 -3\n", 10, "600:root", False),
    ],
)
def test_swap_is_as_wanted_in_every_respect(table, swappiness, mode, kept):
    assert swap.judge(table, swappiness, mode).kept is kept


def test_the_machine_is_booted_before_anything_is_measured():
    assert next(iter(ALL)) == "reboot"
