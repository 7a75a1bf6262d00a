"""Comparing what was read of a recording with its ground truth, `expected.json`.

One table maps the truth's names and words to ours; there are no entries for single libraries.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tripswitch.config.model import Config
from tripswitch.config.read_section import Read
from tripswitch.drive.inspection import Inspection

if TYPE_CHECKING:
    from pathlib import Path

# As a user who marks prompt version, cohort and tenant with attributes of their own would say it.
OWN_KEYS = {
    "prompt_name": ["app.prompt.name"],
    "prompt_version": ["app.prompt.version"],
    "cohort": ["app.cohort"],
    "tenant": ["app.tenant"],
}

FACTS = {
    "request_model": "request_model",
    "response_model": "response_model",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cached_input_tokens": "cached_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "prompt_name": "prompt_name",
    "prompt_version": "prompt_version",
    "cohort": "cohort",
    "route": "route",
    "session_id": "session",
    "tenant": "tenant",
    "refusal": "refusal",
    "error_type": "error_type",
    "error": "error_class",
    "finish_reasons": "finish_reasons",
    "streaming": "streaming",
}
_FINISH_REASONS = {"tool_calls": "tool_call"}


def calls_in(*paths: Path) -> list[dict[str, Any]]:
    """Return every call of the recordings, as `tripswitch inspect --json` prints them."""
    config = Config(read=Read(keys=OWN_KEYS))
    return [
        calls.as_json(row)
        for calls in Inspection(config).calls(paths, on_problem=lambda _: None)
        for row in range(len(calls))
    ]


def differences(
    expected: list[dict[str, Any]], calls: list[dict[str, Any]]
) -> dict[str, list[tuple[Any, ...]]]:
    """Return what differs, by fact: (call, expected, found)."""
    found = {call["span_id"]: call for call in calls}
    wrong: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    truth = [call for call in expected if call["span_id"]]
    wanted = {call["span_id"] for call in truth}
    if len(found) != len(calls) or set(found) != wanted:
        wrong["calls"].append((len(calls), sorted(set(found) ^ wanted)))
    users: dict[str | None, set[str | None]] = defaultdict(set)
    for call in truth:
        read = found.get(call["span_id"])
        if read is None:
            continue
        if not _was_overwritten(call):
            for theirs, ours in FACTS.items():
                _compare(call, read, theirs, ours, wrong)
            users[call["expected"]["user_id"]].add(read["user"])
        _compare_judgements(call, read, wrong)
    for user, hashed in users.items():
        if len(hashed) != 1 or user in hashed - {None} or ((user is None) != (hashed == {None})):
            wrong["user"].append((user, hashed))
    return dict(wrong)


def _was_overwritten(call: dict[str, Any]) -> bool:
    """Whether a later call was written over this one on the same span: nothing of it is left."""
    return bool(call.get("shares_span_with")) and call["expected"]["request_model"] is None


def _compare(
    call: dict[str, Any],
    read: dict[str, Any],
    theirs: str,
    ours: str,
    wrong: dict[str, list[tuple[Any, ...]]],
) -> None:
    expected, found = call["expected"][theirs], read[ours]
    if theirs == "streaming" and expected is None:
        # Not said outright; ours is a plain yes or no.
        return
    if theirs in ("streaming", "error"):
        expected, found = bool(expected), bool(found)
    elif theirs == "refusal":
        # The truth has the text, which is never kept.
        expected = True if expected else None
    elif theirs == "finish_reasons":
        expected = [_FINISH_REASONS.get(word, word) for word in expected or []]
    elif theirs == "prompt_version":
        expected, found = (str(v).removeprefix("v") if v else v for v in (expected, found))
    if expected != found:
        wrong[theirs].append((call["call_id"], expected, found))


def _compare_judgements(
    call: dict[str, Any], read: dict[str, Any], wrong: dict[str, list[tuple[Any, ...]]]
) -> None:
    scores = {evaluation["name"]: evaluation for evaluation in read["evals"]}
    verdicts = {_hyphened(guardrail["name"]): guardrail for guardrail in read["guardrails"]}
    expected_scores, expected_verdicts = set(), set()
    for judgement in call["evals"]:
        if judgement["carried_by"] is None:
            continue
        name = judgement["name"]
        if judgement["kind"] == "guardrail":
            expected_verdicts.add(name)
            verdict = verdicts.get(name, {}).get("verdict")
            if verdict != ("pass" if judgement["passed"] else "block"):
                wrong["guardrail"].append((call["call_id"], name, verdict))
            continue
        expected_scores.add(name)
        evaluation = scores.get(name, {})
        same_label = judgement.get("label") is None or evaluation.get("label") == judgement["label"]
        if evaluation.get("raw") != judgement["score"] or not same_label:
            wrong[judgement["kind"]].append((call["call_id"], name, evaluation))
    # A span that stands for several calls carries the judgements of all.
    if not call.get("shares_span_with"):
        if set(scores) != expected_scores:
            wrong["scores"].append((call["call_id"], sorted(scores), sorted(expected_scores)))
        if set(verdicts) != expected_verdicts:
            wrong["verdicts"].append((call["call_id"], sorted(verdicts)))


def _hyphened(name: str) -> str:
    return name.replace("_", "-").replace(" ", "-")


def truth_of(folder: Path) -> list[dict[str, Any]]:
    """Return the calls of a ground truth."""
    document = json.loads((folder / "expected.json").read_text("utf-8"))
    calls: list[dict[str, Any]] = document["calls"]
    return calls
