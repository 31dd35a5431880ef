"""`dbdoctor serve` as a user runs it, and what it exposes, read with the Prometheus client's own parser."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from tests.servers.cli import Result, Running, start_dbdoctor
from tests.servers.waiting import wait_until
from tests.servers.workspace import workspace

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Answer(NamedTuple):
    """What one request got."""

    status: int
    headers: Mapping[str, str]
    text: str


def ask(port: int, path: str, host: str = "127.0.0.1", method: str = "GET") -> Answer:
    """One request of the exporter."""
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=20)) as connection:
        connection.request(method, path)
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read().decode())


def series_of(text: str) -> Series:
    """Every sample by its name and labels; AssertionError when one is there twice, which Prometheus would refuse."""
    found: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


class Serving:
    """An exporter that runs."""

    def __init__(self, running: Running) -> None:
        self.running = running
        running.wait_for("until Ctrl-C", 20)
        match = re.search(r"serving http://\S+:(\d+)/metrics", running.text("stderr"))
        assert match, running.text()
        self.port = int(match[1])

    def scrape(self) -> Series:
        """Everything that it exposes now."""
        answer = ask(self.port, "/metrics")
        assert answer.status == 200
        return series_of(answer.text)

    def value(self, name: str, **labels: str) -> float | None:
        """The value of the one series that has these labels among its own; None when there is none."""
        found = self.values(name, **labels)
        assert len(found) <= 1, found
        return next(iter(found.values()), None)

    def values(self, name: str, **labels: str) -> Series:
        """All series of that name that have these labels."""
        wanted = set(labels.items())
        return {key: value for key, value in self.scrape().items() if key[0] == name and wanted <= key[1]}

    def wait_for(self, name: str, value: float = 1.0, seconds: float = 20.0, **labels: str) -> None:
        """Returns as soon as such a series has that value."""
        wait_until(lambda: value in self.values(name, **labels).values(), f"{name} {labels} == {value}", seconds)

    def end(self, number: int = signal.SIGINT) -> Result:
        """Ends it as Ctrl-C does."""
        self.running.send_signal(number)
        return self.running.finish(15)


def write_config(profiles: Mapping[str, str], *, more: str = "") -> Path:
    """A config file with a profile for each DSN; `more` stands before them."""
    tables = [f"[targets.{json.dumps(name)}]\ndsn = {json.dumps(dsn)}\n" for name, dsn in profiles.items()]
    place = workspace().directory("config", mode=0o755) / "dbdoctor.toml"
    return workspace().write(place, "\n".join([more, *tables]))


@contextlib.contextmanager
def serving(*arguments: str | Path, interval: str = "500ms", env: Mapping[str, str] | None = None) -> Iterator[Serving]:
    """`dbdoctor serve` on a free port with these arguments; killed at the end when it still runs."""
    running = start_dbdoctor("serve", *arguments, "--listen", "127.0.0.1:0", "--interval", interval, env=env)
    with running:
        yield Serving(running)
