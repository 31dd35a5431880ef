"""A real Prometheus reads the exporter, understands every expression that is shipped, and raises the alerts."""

from __future__ import annotations

import json
import re

from dbdoctor.serve.metrics import METRICS
from tests.cli.test_leaks import held
from tests.serve.prometheus import ALERTS, SAMPLES, Prometheus, promtool
from tests.serve.serving import ask, serving, write_config
from tests.servers.network import refused_port
from tests.servers.postgresql import PostgresServer
from tests.servers.waiting import wait_until

SHORT = "[thresholds]\nidle_in_transaction = '1s'\n"


def dashboard_expressions() -> list[str]:
    dashboard = json.loads((SAMPLES / "grafana_dashboard.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def filled_in(expression: str) -> str:
    """As Grafana sends it."""
    return expression.replace("$__rate_interval", "1m").replace("$target", ".*")


def alert_expressions() -> list[str]:
    return re.findall(r"^ +expr: (.*)$", ALERTS.read_text(), re.MULTILINE)


def test_an_alert_fires_for_a_leak_and_ends_with_it(postgres: PostgresServer) -> None:
    with refused_port() as nobody:
        config = write_config({"shop": postgres.dsn(), "gone": f"postgresql://app@127.0.0.1:{nobody}/shop"}, more=SHORT)
        with serving("--all", "--config", config) as exporter, Prometheus(exporter.port) as prometheus:
            with held(postgres, "checkout-api"):
                wait_until(lambda: bool(prometheus.alerts("DbdoctorLeak")), "the leak's alert", 30)
                (alert,) = prometheus.alerts("DbdoctorLeak")
                assert alert["labels"]["target"] == "shop"
                assert alert["labels"]["application"] == "checkout-api"
                assert "checkout-api" in alert["annotations"]["summary"]
                (slots,) = prometheus.query('dbdoctor_slots_limit{target="shop"}')
                assert slots["value"][1] == "40"
            (down,) = prometheus.alerts("DbdoctorTargetDown")
            assert (down["labels"]["target"], down["labels"]["error_type"]) == ("gone", "connection-refused")
            wait_until(lambda: not prometheus.alerts("DbdoctorLeak"), "the end of the leak's alert", 30)
            assert not prometheus.alerts("DbdoctorNotScraped")
            assert [target["lastError"] for target in prometheus.targets()] == [""]
            for expression in [*map(filled_in, dashboard_expressions()), *alert_expressions()]:
                prometheus.query(expression)
            assert prometheus.query(filled_in(dashboard_expressions()[0]))[0]["value"][1] == "1"


def test_the_metrics_are_as_prometheus_likes_them(postgres: PostgresServer) -> None:
    with serving(postgres.dsn(), "--no-config") as exporter:
        exporter.wait_for("dbdoctor_up")
        answer = ask(exporter.port, "/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert promtool("check", "metrics", stdin=answer.text) == (0, "")


def test_the_samples_are_valid() -> None:
    code, said = promtool("check", "config", SAMPLES / "prometheus.yml")
    assert code == 0, said
    assert f"{len(alert_expressions())} rules found" in said


def test_the_alerts_say_what_they_should() -> None:
    code, said = promtool("test", "rules", SAMPLES.parent / "tests" / "serve" / "alerts_test.yml")
    assert code == 0, said


def test_only_metrics_that_there_are_and_every_alert_is_tested() -> None:
    names = {f"{metric.name}_total" if metric.kind == "counter" else metric.name for metric in METRICS}
    shipped = ALERTS.read_text() + (SAMPLES / "grafana_dashboard.json").read_text()
    assert set(re.findall(r"dbdoctor_[a-z_]+", " ".join([*dashboard_expressions(), *alert_expressions()]))) <= names
    assert set(re.findall(r"\bdbdoctor_[a-z_]+(?=\{|\[)", shipped)) <= names
    tested = (SAMPLES.parent / "tests" / "serve" / "alerts_test.yml").read_text()
    for name in re.findall(r"alert: (\w+)", ALERTS.read_text()):
        assert f"alertname: {name}\n" in tested, name
