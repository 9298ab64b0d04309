"""Opens sockets for the release tool, in a process of its own that has given up root's rights (app_socket.py).

Run by itself: `python3 -c <this file> UID`. It is asked on its standard input, with a folder's descriptor and a name
in that, and answers with the connection, or with the number of an error.
"""

import errno
import os
import socket
import stat
import sys

MOST_NAME = 255
CONNECTED = b"0"


def drop_rights(uid: int) -> None:
    """Become this user, and its group alone, for good."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def connect(folder: int, name: str) -> socket.socket:
    """Connect to the socket of this name; raises OSError, also where it is a link or a file.

    What was looked at is what is connected to, whatever the app puts in its place meanwhile.
    """
    found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if not stat.S_ISSOCK(os.fstat(found).st_mode):
            raise OSError(errno.ENOTSOCK, "is not a socket")
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.connect(f"/proc/self/fd/{found}")
        except OSError:
            connection.close()
            raise
    finally:
        os.close(found)
    return connection


def serve(channel: socket.socket) -> None:
    """Answer until no one asks any more."""
    while True:
        name, folders, _, _ = socket.recv_fds(channel, MOST_NAME, 1)
        if not name:
            return
        try:
            with connect(folders[0], os.fsdecode(name)) as connection:
                socket.send_fds(channel, [CONNECTED], [connection.fileno()])
        except OSError as error:
            channel.send(str(error.errno).encode())
        finally:
            os.close(folders[0])


if __name__ == "__main__":
    drop_rights(int(sys.argv[1]))
    serve(socket.socket(fileno=0))
