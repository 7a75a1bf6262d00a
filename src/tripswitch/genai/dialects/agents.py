"""Frameworks with habits of their own: AWS Strands, Google ADK, Dify, AgentOps, Eino.

Strands writes old and new names side by side, and server times in ms on the client's span.
Source: strands-agents 1.62.0, google-adk 2.13.0 and those of Go and Java, Dify's constants
of its OpenTelemetry extension, agentops 0.4.21, Eino's two callbacks.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row

STRANDS = Dialect(
    "strands",
    scopes=("strands",),
    markers=("event_loop.cycle_id", "gen_ai.event.end_time"),
    rows=(
        Row(
            "ttft",
            "gen_ai.server.time_to_first_token",
            "number",
            scale=1e-3,
            order=-1,
            own_spans=True,
        ),
    ),
    kinds={"execute_event_loop_cycle": "workflow"},
)

ADK = Dialect(
    "adk",
    scopes=("gcp.vertex.agent",),
    markers=("gcp.vertex.agent.invocation_id", "gcp.vertex.agent.event_id"),
    rows=(
        Row("session", "gcp.vertex.agent.session_id", order=5),
        Row("output_content", "gcp.vertex.agent.llm_response", "content", order=5),
        Row("reasoning_tokens", "gen_ai.usage.experimental.reasoning_tokens", "number", order=5),
        Row(
            "finish_reasons",
            "gcp.vertex.agent.llm_response",
            "list",
            member="finish_reason",
            order=5,
        ),
        # In Java, whose own keys leave out what was thought and what was cached.
        *(
            Row(
                fact,
                "gcp.vertex.agent.llm_response",
                "number",
                member=f"usageMetadata.{member}",
                order=5,
            )
            for fact, member in (
                ("total_tokens", "totalTokenCount"),
                ("cached_tokens", "cachedContentTokenCount"),
                ("reasoning_tokens", "thoughtsTokenCount"),
            )
        ),
    ),
    kinds={"call_llm": "chat", "send_data": "other"},
)

# It writes the kinds of Alibaba's conventions, and times in ns.
DIFY = Dialect(
    "dify",
    scopes=("dify",),
    markers=("dify.app_id",),
    rows=(
        Row("tenant", "dify.tenant_id", order=7),
        Row("streaming", "dify.streaming", "flag", order=5),
        Row("ttft", "gen_ai.user.time_to_first_token", "number", scale=1e-9),
    ),
)

# It writes the conventions, and what a span is under a key of its own.
AGENTOPS = Dialect(
    "agentops",
    scopes=("agentops",),
    markers=("agentops.span.kind",),
    rows=(
        Row("operation", "agentops.span.kind"),
        Row("output_content", "agentops.guardrail.output", "content"),
    ),
    kinds={"session": "workflow"},
)

# One of its callbacks calls the outermost span a workflow, whatever it is.
EINO = Dialect(
    "eino",
    scopes=("github.com/cloudwego/eino-ext",),
    markers=("runinfo.component",),
    rows=(
        Row("operation", "runinfo.component", order=-1),
        Row("provider", "runinfo.type", order=-1, own_spans=True),
    ),
    kinds={
        "chatmodel": "chat",
        "agenticmodel": "chat",
        "retrieve": "retrieval",
        "indexer": "other",
        "toolsnode": "other",
        "agentictoolsnode": "other",
        "chattemplate": "other",
        "lambda": "other",
        "graph": "workflow",
    },
)
