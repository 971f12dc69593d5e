"""The report of a running search, served on this machine."""

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

from ...search_space import RunError

ADDRESS = "127.0.0.1"


class LivePage:
    """A page that is rendered again only when what it shows has changed.

    Args:
        version: a value that differs when the page does; cheap.
        render: the page as HTML; slow.
    """

    def __init__(self, version: Callable[[], object], render: Callable[[], str]) -> None:
        self._version, self._render = version, render
        self._shown: tuple[object, bytes] | None = None
        self._lock = Lock()

    def html(self) -> bytes:
        """The present page; several readers wait for one rendering."""
        with self._lock:
            version = self._version()
            if self._shown is None or self._shown[0] != version:
                self._shown = version, self._render().encode()
            return self._shown[1]


def live_server(page: LivePage, port: int, refresh_s: int) -> ThreadingHTTPServer:
    """A server of the page on `ADDRESS`; `serve_forever` runs it.

    Browsers load the page anew every `refresh_s` seconds. Requests under another host name are refused, so
    that no foreign page can read it by DNS rebinding.

    Args:
        port: 0 takes a free one.
    Raises:
        RunError: the port is not free.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Host", "").rpartition(":")[0] not in (ADDRESS, "localhost"):
                self.send_error(HTTPStatus.FORBIDDEN)
            elif self.path != "/":
                self.send_error(HTTPStatus.NOT_FOUND)
            else:
                body = page.html()
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Refresh", str(refresh_s))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    try:
        return ThreadingHTTPServer((ADDRESS, port), Handler)
    except OSError as error:
        raise RunError(f"port {port} of {ADDRESS}: {error.strerror}; choose another --port") from None
