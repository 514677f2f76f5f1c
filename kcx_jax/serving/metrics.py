"""Figures for Prometheus: requests by route, tokens, the engine, the process."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from prometheus_client import CollectorRegistry, Counter, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kcx_jax.serving.state import ServerState

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_NOW = ("queued", "live", "slots", "groups")  # figures of the engine that go up and down
_COUNTED = {
    "texts": "Texts read by /v1/extract.",
    "asks": "Prompts that /v1/extract made of them.",
    "prompt_tokens": "Tokens of prompts of completions.",
    "completion_tokens": "Tokens written.",
}


class Metrics:
    """The figures of one server. `registry` has them all."""

    def __init__(self, state: ServerState):
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "kcx_requests", "Requests answered.", ("route", "method", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "kcx_request_seconds", "From a request to its answer's end.", ("route",),
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._counted = {
            name: Counter(f"kcx_{name}", help_, registry=self.registry) for name, help_ in _COUNTED.items()
        }
        self.registry.register(_Engine(state))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def note(self, route: str, method: str, status: int, seconds: float, counts: Mapping[str, int]) -> None:
        """A request is over."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        for name, number in counts.items():
            self._counted[name].inc(number)


class _Engine(Collector):
    """What the server and its engine do now, read when somebody looks."""

    def __init__(self, state: ServerState):
        self._state = state

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client."""
        yield GaugeMetricFamily("kcx_ready", "1 while requests are taken.", self._state.phase == "ready")
        yield GaugeMetricFamily("kcx_under_way", "Requests that wait or are answered.", self._state.under_way)
        service = self._state.loaded
        if service is None:
            return
        figures = asdict(service.engine.figures())
        failed = figures.pop("failed")
        yield GaugeMetricFamily("kcx_engine_failed", "1 when the engine is dead.", failed is not None)
        for name, value in figures.items():
            kind = GaugeMetricFamily if name in _NOW else CounterMetricFamily
            yield kind(f"kcx_engine_{name}", "See docs/serving.md.", value)
