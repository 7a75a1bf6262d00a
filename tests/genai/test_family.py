"""Places: what a call inherits from the contexts of its chain."""

from __future__ import annotations

from typing import Any

from tripswitch.genai import family
from tripswitch.genai.family import Places
from tripswitch.genai.sightings import Context, Ranked, Sighting
from tripswitch.model.scope import Scope


def context(**facts: Any) -> Context:
    """Return a context of its own with these facts."""
    return Context("chat", "semconv", **facts)


def chain(*contexts: Context) -> list[Sighting]:
    """Return a chain of spans with these contexts, innermost first."""
    spans = [Sighting("", str(number), str(number + 1), 0, 0) for number in range(len(contexts))]
    for span, of_span in zip(spans, contexts, strict=True):
        span.context = of_span
    return spans


def test_place_is_worked_out_once_for_the_same_contexts_and_again_for_others() -> None:
    places = Places()
    own, above = context(provider="p"), context(route=Ranked(0, 0, "/a"))
    place = places.of(chain(own, above), None, "m")
    assert place.scope == Scope("/a", None, None, None, "m", "p")
    assert places.of(chain(own, above), None, "m") is place
    assert places.of(chain(own, above), "canary", "m").scope.cohort == "canary"
    assert places.of(chain(own, above), None, "other").scope.request_model == "other"
    assert places.of(chain(own), None, "m").scope.route is None
    other = context(route=Ranked(0, 0, "/b"))
    assert places.of(chain(own, other), None, "m").scope.route == "/b"


def test_contexts_that_are_gone_are_not_taken_for_others() -> None:
    places = Places()
    for number in range(2_000):
        # Each is freed at once, so that the next may lie where it lay.
        name = f"/{number}"
        assert places.of(chain(context(route=Ranked(0, 0, name))), None, "m").scope.route == name


def test_places_are_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(family, "_MAX_PLACES", 8)
    places = Places()
    for number in range(100):
        places.of(chain(context()), None, str(number))
        assert len(places._known) <= 8
