"""A machine that a test rents: it takes what cloud-init would take at its first boot, and answers real SSH."""

from __future__ import annotations

import asyncio
import base64
import os
import threading
from pathlib import Path
from typing import Any

import asyncssh
import yaml

SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> {folder}/systemctl.log
[ "$1" != is-active ]
"""


class Machines:
    """Runs machines, each on an address of its own and all on one port, in a thread. A context manager."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.running: dict[str, asyncssh.SSHAcceptor] = {}
        self.takes_host_key = True
        self.lets_root_in = True
        self.tried: list[str] = []
        self.logins: list[str] = []
        self.connections: list[asyncssh.SSHServerConnection] = []
        self.loop = asyncio.new_event_loop()

    def __enter__(self) -> Machines:
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for address in list(self.running):
            self.end(address)
        asyncio.run_coroutine_threadsafe(self.finish(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def finish(self) -> None:
        """End all connections, and what they have left running."""
        for connection in self.connections:
            connection.abort()
            await connection.wait_closed()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def boot(self, machine: dict[str, Any]) -> None:
        """Start one as the API describes it, with `made_of`, what it was asked for."""
        address, body = machine["ipv4"][0], machine["made_of"]
        etc = self.folder / address
        etc.mkdir(parents=True, exist_ok=True)
        (etc / "systemctl").write_text(SYSTEMCTL.format(folder=etc))
        (etc / "systemctl").chmod(0o755)
        settings = yaml.safe_load(base64.b64decode(body["metadata"]["user_data"])) if "metadata" in body else {}
        if self.takes_host_key and "ssh_keys" in settings:
            assert settings["ssh_deletekeys"] is True
            assert settings["disable_root"] is False
            (etc / "ssh_host_ed25519_key").write_text(settings["ssh_keys"]["ed25519_private"])
        else:
            (etc / "ssh_host_ed25519_key").write_bytes(
                asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh")
            )
        keys = [asyncssh.import_public_key(key) for key in body["authorized_keys"]]
        self.start(address, etc, keys)

    def start(self, address: str, etc: Path, keys: list[asyncssh.SSHKey]) -> None:
        machines = self

        class Server(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                machines.connections.append(conn)

            def begin_auth(self, username: str) -> bool:
                machines.tried.append(username)
                return True

            def public_key_auth_supported(self) -> bool:
                return True

            def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
                let_in = (username == "root") == machines.lets_root_in and key in keys
                if let_in:
                    machines.logins.append(f"{username}@{address}")
                return let_in

        async def run(process: Any) -> None:
            environment = {"PATH": f"{etc}:{os.environ['PATH']}"}
            pipe = asyncio.subprocess.PIPE
            shell = await asyncio.create_subprocess_shell(
                process.command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, cwd=etc
            )
            feeding = asyncio.create_task(feed(process.stdin, shell.stdin))
            out, err = await asyncio.gather(shell.stdout.read(), shell.stderr.read())
            await shell.wait()
            feeding.cancel()
            process.stdout.write(out)
            process.stderr.write(err)
            # As sshd does when systemd tells it to read its files anew.
            self.running[address].update(server_host_keys=[asyncssh.read_private_key(etc / "ssh_host_ed25519_key")])
            process.exit(shell.returncode)

        async def listen() -> None:
            self.running[address] = await asyncssh.create_server(
                Server, address, self.port, server_host_keys=[etc / "ssh_host_ed25519_key"], process_factory=run,
                encoding=None,
            )  # fmt: skip

        asyncio.run_coroutine_threadsafe(listen(), self.loop).result(10)

    def end(self, address: str) -> None:
        """Switch one off."""
        acceptor = self.running.pop(address)

        async def close() -> None:
            acceptor.close()
            await acceptor.wait_closed()

        asyncio.run_coroutine_threadsafe(close(), self.loop).result(10)

    def host_key(self, address: str) -> str:
        """The public key by which one is known now."""
        return asyncssh.read_private_key(self.folder / address / "ssh_host_ed25519_key").export_public_key().decode()


async def feed(source: Any, target: Any) -> None:
    """Hand on a standard input, as it comes."""
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()
