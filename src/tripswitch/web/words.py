"""Words for people: what a signal, a verdict or a state is called, and what is meant by it.

The names in configuration, JSON and metrics stay as they are; a page shows these, with the
explanation a hover or a focus away.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Term(NamedTuple):
    """A name for people, and what it means in one or two sentences."""

    name: str
    meaning: str


SIGNALS: Final[dict[str, Term]] = {
    "eval_score": Term(
        "quality score", "The mean of what an evaluator gave to answers, from 0 to 1."
    ),
    "refusal_rate": Term(
        "refusals", "The share of answers in which the model declined to help (refusal_rate)."
    ),
    "error_rate": Term(
        "errors",
        "The share of requests that failed after their retries (error_rate). A call that failed "
        "and was retried well is no error.",
    ),
    "p99_latency": Term(
        "slow requests",
        "The share of requests slower than twice the usual p99, the time that 99 of 100 requests "
        "stay under (p99_latency).",
    ),
    "ttft_p99": Term(
        "slow first tokens",
        "The share of calls whose first token took more than twice the usual p99 (ttft_p99).",
    ),
    "tokens_per_success": Term(
        "tokens per success",
        "All tokens spent, by the requests that succeeded (tokens_per_success). It grows when an "
        "agent loops, and when answers fail.",
    ),
    "cost_per_success": Term(
        "cost per success", "All dollars spent, by the requests that succeeded (cost_per_success)."
    ),
    "tool_latency": Term(
        "slow tool runs", "The share of a tool's runs slower than twice its usual p99."
    ),
    "tool_errors": Term("tool errors", "The share of a tool's runs that failed (tool_errors)."),
    "pii_leak": Term(
        "personal data leaks",
        "Answers in which a guardrail or evaluator found personal data (pii_leak). The first is "
        "noted; several, from several traces, page.",
    ),
    "prompt_injection": Term(
        "prompt injections",
        "The share of injection attempts that got through (prompt_injection).",
    ),
    "traffic_drop": Term(
        "missing traffic", "Fewer calls than this hour of the week usually brings (traffic_drop)."
    ),
    "telemetry_lost": Term(
        "lost telemetry", "Spans stopped coming, so that nothing can be said (telemetry_lost)."
    ),
}

FINDINGS: Final[dict[str, Term]] = {
    "regressed": Term("worse", "Over its line, and proven by the evidence. Only this can act."),
    "healthy": Term("fine", "Enough was seen, and it is inside its line or not proven worse."),
    "insufficient": Term(
        "not enough yet",
        "Too few samples, or nothing to compare with. The route's page says what is missing.",
    ),
    "telemetry_lost": Term(
        "telemetry lost", "Part of this minute's telemetry was lost; what is left proves nothing."
    ),
}

COMPARISONS: Final[dict[str, Term]] = {
    "control": Term("the control", "A cohort that serves beside it at the same time."),
    "previous": Term("the version before", "What the same slice measured before this version."),
    "history": Term("its own past", "What it measured in the hours and days before."),
}

SHAPES: Final[dict[str, Term]] = {
    "eval_drift": Term("Quality dropped", "An evaluator's scores fell (eval_drift)."),
    "cost_spike": Term("Cost spiked", "More tokens or dollars by success (cost_spike)."),
    "latency_spike": Term("Slower answers", "Requests, first tokens or a tool (latency_spike)."),
    "guardrail_regression": Term(
        "Guardrail regression",
        "Refusals, leaks or injections moved (guardrail_regression).",
    ),
    "outage": Term("Outage", "Errors rose or traffic stayed away (outage)."),
}

SEVERITIES: Final[dict[str, Term]] = {
    "page": Term("Page", "Loud: somebody is woken up for it."),
    "investigate": Term("Investigate", "Quiet: to be looked at in working hours."),
}

STATES: Final[dict[str, Term]] = {
    "open": Term("Open", "The signal is over its line, or was and is not proven back."),
    "recovered": Term(
        "Recovered", "The spans show the signal back inside its line for a full window."
    ),
    "resolved": Term("Resolved", "Recovered, a fix in review and communication closed."),
}

CAUSES: Final[dict[str, Term]] = {
    "our_change": Term("a change of ours", "A change of ours fits in time and scope."),
    "provider": Term(
        "the provider", "Most that share a provider show the same, and no change of ours fits."
    ),
    "judge": Term("the evaluator", "Scores moved and behaviour did not, or its version did."),
    "unknown": Term("unknown", "None of the known patterns fits."),
}

PATHS: Final[dict[str, Term]] = {
    "cohort": Term("cohort revert", "The cohort gets the good version back at the gateway."),
    "prompt_version": Term(
        "prompt version revert", "The prompt's pointer in its registry is moved back."
    ),
    "provider_failover": Term("provider failover", "Traffic goes to another provider or model."),
    "tool_breaker": Term("tool breaker", "A tool is switched off for a while."),
    "cost_breaker": Term("cost breaker", "Spending is limited for a while."),
    "guardrail": Term("guardrail revert", "The guardrail's settings before are put back."),
}

ROLLBACKS: Final[dict[str, Term]] = {
    "planned": Term("on its way", "Written down, and being sent to its target."),
    "proposed": Term("proposed", "Waits for a person to approve or reject it."),
    "withheld": Term("withheld", "A guard did not let it go; the reason says which."),
    "acknowledged": Term("answered", "The target answered; the spans do not show it yet."),
    "unknown": Term("unclear", "The call may or may not have taken effect."),
    "failed": Term("failed", "The target did not act, or the spans do not show that it did."),
    "confirmed": Term("confirmed", "The spans show the traffic on the good version."),
    "rejected": Term("rejected", "A person decided against it."),
    "expired": Term("expired", "Nobody answered in time."),
    "undoing": Term("being undone", "It is being taken back."),
    "undone": Term("undone", "It was taken back."),
    "reverted": Term("reverted", "Somebody else put the bad version back."),
    "released": Term("released", "A person lets the version serve again."),
}

EVENTS: Final[dict[str, str]] = {
    "incident.opened": "Opened",
    "incident.updated": "More joined",
    "incident.escalated": "Paged",
    "incident.acknowledged": "Acknowledged",
    "incident.confirmed": "Confirmed",
    "incident.unrecovered": "Not recovered",
    "incident.recovered": "Recovered",
    "incident.resolved": "Resolved",
    "rollback.planned": "Rollback planned",
    "rollback.acknowledged": "Rollback answered",
    "rollback.unknown": "Rollback unclear",
    "rollback.failed": "Rollback failed",
    "rollback.confirmed": "Rollback confirmed",
    "rollback.approved": "Rollback approved",
    "rollback.rejected": "Rollback rejected",
    "rollback.expired": "Proposal expired",
    "rollback.undo_planned": "Undo on its way",
    "rollback.undone": "Undone",
    "rollback.reverted": "Reverted by others",
    "rollback.released": "Released",
    "rollback.hold_over": "Hold is over",
    "comms.drafted": "Update drafted",
    "comms.due": "Update due",
    "action.sent": "Call sent",
    "action.answered": "Call answered",
    "postmortem.due": "Postmortem due",
    "evidence.sealed": "Evidence sealed",
}

FACTS: Final[dict[str, str]] = {
    "route": "Without it everything is judged as one route.",
    "prompt_name": "Which prompt a call used; versions are compared within a prompt.",
    "prompt_version": "Without it no rollback can name what it goes back to.",
    "cohort": "Canary or control. Without it a rollout has nothing beside it to compare with.",
    "tenant": "Shows who is affected.",
    "session": "Tells one talkative session from many people.",
    "user": "Hashed with a key; shows how many people are affected.",
    "provider": "Needed to tell a provider's fault from ours.",
    "request_model": "The model that was asked for.",
    "response_model": "The model that answered; a silent change shows here.",
    "response_id": "Joins scores that come later to their call.",
    "input_tokens": "Needed for tokens and cost.",
    "output_tokens": "Needed for tokens and cost.",
    "cached_tokens": "Makes the cost exact.",
    "reasoning_tokens": "Makes the cost exact.",
    "cost_usd": "Reported, or computed from prices.",
    "ttft": "Time to the first token, of streamed calls.",
    "finish_reasons": "Tells refusals and cut answers.",
    "refusal": "Whether the model declined.",
    "guardrails": "What guardrails said.",
    "evals": "Scores. Without them quality cannot be judged, only behaviour.",
    "tools": "Runs of tools.",
}


def term(terms: dict[str, Term], key: str | None) -> Term:
    """Return the words for a key; the key itself, in words, where there are none."""
    known = terms.get(key or "")
    return known or Term((key or "none").replace("_", " "), "")


def signal_name(signal: str, rubric: str | None) -> str:
    """Return what a signal is called, with its rubric, tool or sort.

    >>> signal_name("eval_score", "faithfulness"), signal_name("tool_errors", "search")
    ('faithfulness', 'tool errors: search')
    """
    if rubric is None:
        return term(SIGNALS, signal).name
    return rubric if signal == "eval_score" else f"{term(SIGNALS, signal).name}: {rubric}"
