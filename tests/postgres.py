"""A real PostgreSQL server of the tests' own: Debian's `postgresql` package, on a socket in a folder of its own, gone at the end.

Tests that need it are marked `postgres` and run by `make test-postgres`, which fails where there is no server.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg


class Server:
    """A server that runs until `close`."""

    def __init__(self) -> None:
        """Start it. Raises AssertionError where PostgreSQL is not installed."""
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._data = self._folder / "data"
        self._databases = 0
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(self._folder, "postgres", "postgres")
        self._run("initdb", "--pgdata", str(self._data), "--auth=trust", "--username=tagsmith")
        self.start()

    def start(self) -> None:
        """Start it, also after `stop`."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self._folder} -c max_connections=200"
        self._run(
            "pg_ctl", "start", "-w", "-D", str(self._data), "-l", str(self._folder / "log"), "-o", options
        )

    def stop(self, mode: str = "immediate") -> None:
        """End it, by default as a crash would."""
        self._run("pg_ctl", "stop", "-w", "-D", str(self._data), "-m", mode)

    def new_database(self) -> str:
        """Make a database and return its URL."""
        self._databases += 1
        name = f"jobs{self._databases}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # a name of our own
        return self._url(name)

    def close(self) -> None:
        """End it and remove its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _url(self, database: str) -> str:
        return f"postgresql://tagsmith@/{database}?host={self._folder}"

    def _run(self, program: str, *arguments: str) -> None:
        found = [*Path("/usr/lib/postgresql").glob(f"*/bin/{program}")]
        path = shutil.which(program) or (str(max(found)) if found else None)
        assert path, f"{program} is not here: install PostgreSQL (Debian: apt-get install postgresql)"
        command = [path, *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        ended = subprocess.run(
            command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
