"""A TCP proxy before Postgres that drops a connection after so many bytes."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

from rowboat.database import embedded

_RESET = b"\x01\0\0\0\0\0\0\0"  # struct linger: on, 0 seconds; closing then resets


class Proxy:
    """Hands bytes on until `left` of them have gone towards `to`; then resets both sides."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._listener = socket.create_server((embedded.HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self.left: float = float("inf")
        self.cuts = 0
        self.to_server = True
        Thread(target=self._serve, daemon=True).start()

    def cut_after(self, count: int, to_server: bool = True) -> None:
        """Cut the next connection when so many bytes have gone to the server, or come from it."""
        self.left, self.to_server = count, to_server

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                front, _ = self._listener.accept()
                behind = socket.create_connection((embedded.HOST, self._behind))
                for pair in ((front, behind, True), (behind, front, False)):
                    Thread(target=self._hand_on, args=pair, daemon=True).start()

    def _hand_on(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:
        with suppress(OSError):
            while data := source.recv(8192):
                if to_server == self.to_server:
                    if len(data) > self.left:
                        target.sendall(data[: int(self.left)])
                        self.left = float("inf")
                        self.cuts += 1
                        for side in (source, target):
                            side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                        break
                    self.left -= len(data)
                target.sendall(data)
        for side in (source, target):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()


@contextmanager
def before(port: int) -> Iterator[Proxy]:
    """Stand before the server of a port."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
