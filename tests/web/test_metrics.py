"""The metrics page: the text format, names, help and labels."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.web.asking import ask
from tripswitch.web.metrics import Metric, Sample, by_label, counter, gauge, metrics_app, named


def page(*metrics: Metric) -> str:
    return ask(metrics_app(lambda: metrics), "/metrics").text


def test_every_family_has_prefix_help_and_type() -> None:
    text = page(
        counter("requests_total", "Requests.", 3),
        gauge("lag_seconds", "Lag.", 0.5),
        by_label("codes_total", "By code.", "code", {"OK": 2, "ABORTED": 1}),
    )
    assert "# HELP tripswitch_requests_total Requests.\n" in text
    assert "# TYPE tripswitch_requests_total counter\n" in text
    assert "tripswitch_requests_total 3.0\n" in text
    assert "tripswitch_lag_seconds 0.5\n" in text
    assert 'tripswitch_codes_total{code="OK"} 2.0\n' in text


def test_numbers_of_another_process_keep_their_names_and_labels() -> None:
    families = named(
        {
            "judge_errors_total": 1,
            "lag_s": 2,
            "acts_total;kind=notify;target=a": 3,
            "acts_total;kind=notify;target=b": 4,
            'evil"} 1\nx_total': 5,
            "Upper": 6,
            "ok_total;Bad label=x": 7,
        },
        {"judge_errors_total": "Faults."},
    )
    assert families == [
        Metric(
            "acts_total",
            "counter",
            "acts.",
            (
                Sample(3, (("kind", "notify"), ("target", "a"))),
                Sample(4, (("kind", "notify"), ("target", "b"))),
            ),
        ),
        counter("judge_errors_total", "Faults.", 1),
        gauge("lag_s", "lag s.", 2),
    ]
    parsed = list(text_string_to_metric_families(page(*families)))
    assert {family.name for family in parsed} == {
        "tripswitch_acts",
        "tripswitch_judge_errors",
        "tripswitch_lag_s",
    }


def test_values_are_read_at_each_scrape() -> None:
    value = 0.0

    def read() -> list[Metric]:
        nonlocal value
        value += 1
        return [gauge("scrapes", "Scrapes.", value)]

    app = metrics_app(read)
    assert "tripswitch_scrapes 1.0" in ask(app, "/metrics").text
    assert "tripswitch_scrapes 2.0" in ask(app, "/metrics").text


def test_a_label_value_cannot_break_the_page() -> None:
    text = page(by_label("x_total", "X.", "code", {'a"} 1\nfaked_total 2': 1.0}))
    (family,) = text_string_to_metric_families(text)
    assert [sample.labels["code"] for sample in family.samples] == ['a"} 1\nfaked_total 2']
