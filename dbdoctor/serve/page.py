"""The metrics as text, ready before anybody asks: each target's lines are made when its state changes, a scrape joins them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

import dbdoctor
from dbdoctor.serve.metrics import METRICS
from dbdoctor.serve.state import State

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

__all__ = ["CONTENT_TYPE", "Lines", "Page", "lines_of"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""What `generate_latest` writes; 0.22 of the client has no constant for it."""

Lines = Mapping[str, bytes]
"""One target's samples as text, by metric."""

# At the beginning of a line only: nobody's label value can stand there.
_HEAD = re.compile(rb"^# HELP (?P<name>\S+) .*\n# TYPE .*\n", re.MULTILINE)


class _Families(Collector):
    """Metric families that were collected already, for the client's writer."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def lines_of(state: State) -> Lines:
    """The state's samples, as the Prometheus client writes them."""
    text = generate_latest(_Families(_families([state])))
    heads = list(_HEAD.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    return {_plain(head["name"]): text[head.end() : end] for head, end in zip(heads, ends, strict=True)}


class Page:
    """Makes the whole text; `targets` is how many there are."""

    def __init__(self, targets: int) -> None:
        self._process = ProcessCollector(registry=None)
        self._heads = [
            (_plain(head["name"]), head[0]) for head in _HEAD.finditer(generate_latest(_Families(_families([]))))
        ]
        build = GaugeMetricFamily("dbdoctor_build_info", "The exporter's version; always 1.", labels=["version"])
        build.add_metric([dbdoctor.__version__], 1)
        count = GaugeMetricFamily("dbdoctor_targets", "Targets that are judged.", value=targets)
        self._own = generate_latest(_Families([build, count]))

    def text(self, targets: Sequence[Lines]) -> bytes:
        """Every metric of every target, and the exporter's own, in the text format 0.0.4."""
        parts = [self._own]
        for name, head in self._heads:
            parts.append(head)
            parts += [lines[name] for lines in targets]
        parts.append(generate_latest(self._process))
        return b"".join(parts)


def _families(states: Sequence[State]) -> list[Family]:
    kinds: dict[str, Callable[..., CounterMetricFamily | GaugeMetricFamily]] = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
    }
    families: list[Family] = []
    for metric in METRICS:
        family = kinds[metric.kind](metric.name, metric.help, labels=("target", *metric.labels))
        for state in states:
            for labels, value in metric.samples(state):
                family.add_metric([state.name, *labels], value)
        families.append(family)
    return families


def _plain(name: bytes) -> str:
    return name.decode("ascii")
