"""A real Prometheus that scrapes an exporter, with the rules of sample_configs; and promtool."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from tests.servers.waiting import wait_until
from tests.servers.workspace import REPOSITORY, free_port, installed, workspace

SAMPLES = REPOSITORY / "sample_configs"
ALERTS = SAMPLES / "dbdoctor_alerts.yml"


def promtool(*arguments: str | Path, stdin: str = "") -> tuple[int, str]:
    """Runs promtool; its exit code and what it said."""
    done = subprocess.run(
        [installed("promtool"), *map(str, arguments)], input=stdin, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


class Prometheus:
    """Scrapes `port` twice a second under the job `dbdoctor`, with the alerts of sample_configs, made impatient."""

    def __init__(self, port: int) -> None:
        self.port = free_port()
        self._directory = workspace().directory("prometheus")
        self._log = workspace().write(self._directory / "log", "")
        # Tests have no minutes: what must have lasted for some of them is an alert when it lasts for a second.
        rules = re.sub(r"for: \d+m", "for: 1s", ALERTS.read_text())
        workspace().write(self._directory / "rules.yml", rules)
        scraped = {"job_name": "dbdoctor", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "scrape_configs": [scraped],
            "rule_files": ["rules.yml"],
        }
        # JSON is YAML.
        self._config = workspace().write(self._directory / "prometheus.yml", json.dumps(config))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = process = workspace().spawn(
            [
                installed("prometheus"),
                f"--config.file={self._config}",
                f"--storage.tsdb.path={self._directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--no-scrape.adjust-timestamps",
            ],
            log=self._log,
            cwd=self._directory,
        )

        def ready() -> bool:
            assert process.poll() is None, self._log.read_text()
            with contextlib.suppress(OSError):
                return self._get("/-/ready")[0] == 200
            return False

        wait_until(ready, "Prometheus", 30)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            workspace().stop(self._process)
            self._process = None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives now; AssertionError when Prometheus does not understand it."""
        status, text = self._get("/api/v1/query?" + urlencode({"query": expression}))
        assert status == 200, (expression, text)
        result = json.loads(text)["data"]["result"]
        assert isinstance(result, list), expression
        return result

    def alerts(self, name: str, state: str = "firing") -> list[dict[str, Any]]:
        """The alerts of that name that are in that state."""
        alerts: list[dict[str, Any]] = json.loads(self._get("/api/v1/alerts")[1])["data"]["alerts"]
        return [alert for alert in alerts if alert["labels"]["alertname"] == name and alert["state"] == state]

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes, with the last error of each."""
        found: list[dict[str, Any]] = json.loads(self._get("/api/v1/targets")[1])["data"]["activeTargets"]
        return found

    def _get(self, path: str) -> tuple[int, str]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
