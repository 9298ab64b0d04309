"""Every line of the table of a virtual machine: what a container, which shares its kernel with its host, cannot show.

The machine is booted anew first, so that all the others tell what is in force by itself.
"""

from row import Check

from checks.on_a_vm import apparmor, boot, deployments, kernel, login, memory, modules, reused, swap

ALL: dict[str, Check] = {
    check.name: check
    for check in [
        boot.CHECK,
        deployments.CHECK,
        memory.CHECK,
        login.CHECK,
        kernel.CHECK,
        modules.CHECK,
        swap.CHECK,
        apparmor.CHECK,
        reused.CONTAINERS,
        reused.LYNIS,
        # Last: it installs a package for a while.
        reused.PORTS,
    ]
}
