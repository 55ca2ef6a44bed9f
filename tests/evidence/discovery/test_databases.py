"""kine's table asked of real servers."""

import os
import re
from collections.abc import Iterator

import pytest

from auditor.evidence import readers
from auditor.evidence.discovery import databases, exhibits
from auditor.options import Options
from tests.evidence.sql.test_dumps import expected, told
from tests.fuzz.base import CANARY
from tests.helpers import sql_servers
from tests.helpers.command import run
from tests.helpers.sql_servers import Server

PASSWORD = "pw-9f31c7-of-the-reader"


@pytest.fixture(scope="module", params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    start = sql_servers.postgres if request.param == "postgres" else sql_servers.mariadb
    with start() as server:
        server.fill("kubernetes", sql_servers.history())
        if server.kind == "postgres":
            server.sql("kubernetes", f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'; GRANT SELECT ON kine TO reader;")
        else:
            user = f"CREATE USER reader@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'"
            server.sql("kubernetes", f"{user}; GRANT SELECT ON kubernetes.kine TO reader@'127.0.0.1';")
        yield server


def url(server: Server) -> str:
    scheme = "postgresql" if server.kind == "postgres" else "mysql"
    return f"{scheme}://reader@127.0.0.1:{server.port}/kubernetes"


def test_a_live_table_is_what_the_server_answers(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who may SELECT, and no more, reads it; nothing is written there."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("MYSQL_PWD", PASSWORD)
    before = server.rows("kubernetes")
    with exhibits.opened(url(server), Options()) as opened:
        ((_, opener),) = opened
        with opener() as exhibit:
            reading = readers.read(exhibit, quick=False)
    assert reading.description == "kine's table in a live database"
    assert reading.gaps == ()
    assert told(reading) == expected(before)
    assert server.rows("kubernetes") == before


def test_the_command_scans_it(server: Server) -> None:
    done = run("scan", url(server), PGPASSWORD=PASSWORD, MYSQL_PWD=PASSWORD)
    assert done.returncode == 1, done.stderr
    assert "in one read-only snapshot" in re.sub(r"\s+", " ", done.stdout)
    assert "the sweep agrees" in re.sub(r"\s+", " ", done.stdout)
    assert CANARY.decode() not in done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_password_on_the_command_line_is_refused_and_not_repeated(scheme: str) -> None:
    for text in (
        f"{scheme}://reader:{PASSWORD}@127.0.0.1:9/kubernetes",
        f"{scheme}://127.0.0.1:9/k?password={PASSWORD}",
    ):
        done = run("scan", text)
        assert done.returncode == 2
        assert PASSWORD not in done.stdout + done.stderr
        assert "in the environment" in re.sub(r"\s+", " ", done.stderr)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_server_that_does_not_answer_is_named(scheme: str) -> None:
    done = run("scan", f"{scheme}://reader@127.0.0.1:9/kubernetes", PGPASSWORD=PASSWORD, MYSQL_PWD=PASSWORD)
    assert done.returncode == 2
    assert f"{scheme}://127.0.0.1:9/kubernetes cannot be read" in re.sub(r"\s+", " ", done.stderr)
    assert "Traceback" not in done.stderr


def test_urls_of_databases() -> None:
    assert databases.is_database("postgres://db/kubernetes")
    assert not databases.is_database("https://db:2379")
    assert not databases.is_database(os.fspath("postgresql"))
    assert databases.shown("mysql://u:p@h:1/d?ssl_ca=x") == "mysql://h:1/d"
