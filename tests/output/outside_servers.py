"""Servers as they are met in place of an endpoint; prints `ready` when all listen, and runs until it is killed."""

import json
import socket
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

OURS = b'{"status":"ready"}\n'
FAILING = b'{"error":"The model server is not there.","field":null,"received":null,"expected":null,"example":null}\n'


class Handler(BaseHTTPRequestHandler):
    server: "Server"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        kind = self.server.kind
        if kind == "slow":
            time.sleep(60)
        self.send_response(502 if kind == "failing" else 200 if self.path == "/readyz" else 404)
        if kind != "stranger":
            self.send_header("X-Request-ID", self.headers["X-Request-ID"])
        if kind in ("ours", "late"):
            self.send_header("X-Release", "4d41b34d98d4")
        self.end_headers()
        self.wfile.write(FAILING if kind == "failing" else OURS)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    kind = ""
    connections = 0

    def verify_request(self, *_: object) -> bool:
        # One that is just started takes the first connection and closes it.
        self.connections += 1
        return self.kind != "late" or self.connections > 1

    def handle_error(self, *_: object) -> None:
        pass


class Server6(Server):
    address_family = socket.AF_INET6


def http(address: str, port: int, kind: str, certificate: str) -> None:
    server = (Server6 if ":" in address else Server)((address, port), Handler)
    server.kind = kind
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def raw(address: str, port: int, kind: str) -> None:
    listening = socket.create_server((address, port), backlog=0 if kind == "full" else 100)
    if kind == "full":
        # What is not accepted fills the queue, and the kernel drops whatever else comes.
        full.append(socket.create_connection((address, port)))
        full.append(listening)
        return
    threading.Thread(target=accept, args=(listening, kind), daemon=True).start()


def accept(listening: socket.socket, kind: str) -> None:
    while True:
        connection, _ = listening.accept()
        full.append(connection)
        if kind == "closes":
            connection.close()
        if kind == "greets":
            connection.sendall(b"SSH-2.0-OpenSSH_10.0\r\n")
        if kind == "trickles":
            threading.Thread(target=trickle, args=(connection,), daemon=True).start()


def trickle(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"x: y\r\n")
        time.sleep(0.2)


full: list[socket.socket] = []
folder = Path(sys.argv[1])
for address, port, kind, certificate in json.loads(sys.argv[2]):
    if kind in ("mute", "full", "closes", "trickles", "greets"):
        raw(address, port, kind)
    else:
        http(address, port, kind, str(folder / f"{certificate}.pem") if certificate else "")
print("ready", flush=True)
time.sleep(600)
