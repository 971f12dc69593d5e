import threading
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from bneck.results.pages.live import ADDRESS, LivePage, live_server
from bneck.search_space import RunError

SHOWN: list[str] = []


@pytest.fixture
def port() -> Iterator[int]:
    """A server of the last of `SHOWN`."""
    SHOWN[:] = ["one"]
    rendered = iter(range(100))
    with live_server(LivePage(lambda: SHOWN[-1], lambda: f"{SHOWN[-1]} {next(rendered)}"), 0, 7) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def get(port: int, path: str = "/", host: str = ADDRESS) -> tuple[int, str, str | None]:
    connection = HTTPConnection(ADDRESS, port, timeout=10)
    connection.request("GET", path, headers={"Host": f"{host}:{port}"})
    answer = connection.getresponse()
    shown = answer.status, answer.read().decode(), answer.headers["Refresh"]
    connection.close()
    return shown


def test_the_page_is_rendered_anew_only_after_a_change(port: int) -> None:
    assert get(port) == get(port) == (200, "one 0", "7")
    SHOWN.append("two")
    assert get(port) == (200, "two 1", "7")


def test_other_paths_and_other_hosts_are_refused(port: int) -> None:
    assert get(port, "/etc/passwd")[0] == 404
    assert get(port, host="example.org")[0] == 403


def test_a_port_that_is_taken_is_named(port: int) -> None:
    with pytest.raises(RunError, match=f"port {port} "):
        live_server(LivePage(str, str), port, 7)
