"""Every line of the table, in its order. Those that leave the machine as it was come first."""

from row import Check

from checks import containers, cost, guesses, hardening, ports, renewals, slow_clients, smuggling, ssh, tls

ALL: dict[str, Check] = {
    check.name: check
    for check in [
        hardening.CHECK,
        ports.CHECK,
        ssh.CHECK,
        containers.CHECK,
        tls.CHECK,
        smuggling.CHECK,
        guesses.CHECK,
        cost.CHECK,
        slow_clients.CHECK,
        # Last: it changes the packages of the machine.
        renewals.CHECK,
    ]
}
