"""tripswitch's own keys, and the OpenTelemetry GenAI conventions from the current to the oldest.

Source: OpenTelemetry semantic conventions 1.26 to 1.41 and the GenAI conventions repository;
Semantic Kernel's telemetry constants; any-agent's for cost.
Where several keys serve one fact, the current name comes first.
"""

from __future__ import annotations

from tripswitch.genai.rows import FIXED, Dialect, Row, bare

OURS = Dialect(
    "semconv",
    rows=(
        Row("route", "tripswitch.route", anywhere=True, standing=FIXED),
        Row("prompt_name", "tripswitch.prompt.name", anywhere=True, standing=FIXED),
        Row("prompt_version", "tripswitch.prompt.version", anywhere=True, standing=FIXED),
        Row("cohort", "tripswitch.cohort", anywhere=True, standing=FIXED),
        Row("tenant", "tripswitch.tenant", anywhere=True, standing=FIXED),
    ),
)

SEMCONV = Dialect(
    "semconv",
    # Bedrock does not count what it has in its cache, and these copy its numbers.
    apart=(
        "opentelemetry.instrumentation.botocore.bedrock",
        "opentelemetry.instrumentation.genai.bedrock",
    ),
    rows=(
        Row("operation", "gen_ai.operation.name"),
        # AgentOps', from before the conventions had a name for it.
        Row("operation", "gen_ai.request.type", order=5),
        Row("route", "http.route", order=6),
        Row("route", "gen_ai.workflow.name", order=7),
        Row("route", "gen_ai.agent.name", order=8),
        Row("route", "url.template", order=9),
        Row("route", "rpc.method", order=9),
        Row("method", "rpc.method"),
        Row("route", "messaging.destination.name", order=9),
        Row("prompt_name", "gen_ai.prompt.name"),
        Row("prompt_version", "gen_ai.prompt.version"),
        # What people write who do not know the name above.
        Row("prompt_name", "gen_ai.prompt_name", order=6),
        Row("prompt_version", "gen_ai.prompt_version", order=6),
        Row("prompt_label", "gen_ai.prompt.label", order=6),
        Row("cohort", "feature_flag.result.variant", order=8),
        Row("cohort", "feature_flag.variant", order=8),
        Row("tenant", "tenant.id"),
        # The application's word goes first: some libraries make up a conversation for every run.
        Row("session", "session.id"),
        Row("session", "gen_ai.conversation.id"),
        Row("session", "gen_ai.session.id"),
        Row("user", "user.id"),
        Row("user", "enduser.id"),
        Row("user", "enduser.pseudo.id"),
        Row("user", "user.hash"),
        Row("user", "gen_ai.user.id"),
        Row("user", "gen_ai.user"),
        # PostHog's, which its processor puts on the spans of any instrumentation.
        Row("session", "$session_id", order=6),
        Row("user", "posthog.distinct_id", order=6),
        Row("provider", "gen_ai.provider.name"),
        Row("provider", "gen_ai.system"),
        Row("request_model", "gen_ai.request.model"),
        Row("response_model", "gen_ai.response.model"),
        # Of Alibaba's conventions, as its kinds of spans.
        Row("request_model", "gen_ai.request.model_name", order=5),
        Row("response_model", "gen_ai.response.model_name", order=5),
        Row("response_id", "gen_ai.response.id"),
        # Langtrace's, as its cached tokens below.
        Row("response_id", "gen_ai.response_id", order=5),
        Row("input_tokens", "gen_ai.usage.input_tokens", "number"),
        Row("input_tokens", "gen_ai.usage.prompt_tokens", "number"),
        Row("output_tokens", "gen_ai.usage.output_tokens", "number"),
        Row("output_tokens", "gen_ai.usage.completion_tokens", "number"),
        # Semantic Kernel's, before it took over the conventions' names.
        Row("input_tokens", "gen_ai.response.prompt_tokens", "number", order=5),
        Row("output_tokens", "gen_ai.response.completion_tokens", "number", order=5),
        Row("total_tokens", "gen_ai.usage.total_tokens", "number"),
        Row("cached_tokens", "gen_ai.usage.cache_read.input_tokens", "number"),
        Row("cached_tokens", "gen_ai.usage.cache_read_input_tokens", "number"),
        Row("cached_tokens", "gen_ai.usage.cached_input_tokens", "number", order=5),
        Row("cached_tokens", "gen_ai.usage.cached_tokens", "number", order=5),
        Row("cache_write_tokens", "gen_ai.usage.cache_write.input_tokens", "number"),
        Row("cache_write_tokens", "gen_ai.usage.cache_creation.input_tokens", "number"),
        Row("cache_write_tokens", "gen_ai.usage.cache_write_input_tokens", "number"),
        Row("cache_write_tokens", "gen_ai.usage.cache_creation_input_tokens", "number"),
        Row("reasoning_tokens", "gen_ai.usage.reasoning.output_tokens", "number"),
        Row("reasoning_tokens", "gen_ai.usage.reasoning_tokens", "number"),
        Row("reasoning_tokens", "gen_ai.usage.details.reasoning_tokens", "number"),
        # The conventions have no key for cost; these are what instrumentations agree on.
        Row("cost_usd", "gen_ai.usage.cost", "number"),
        Row("cost_usd", "gen_ai.cost.total", "number"),
        Row("cost_usd", "gen_ai.cost.usd", "number", order=5),
        Row("cost_input_usd", "gen_ai.usage.input_cost", "number"),
        Row("cost_output_usd", "gen_ai.usage.output_cost", "number"),
        Row("ttft", "gen_ai.response.time_to_first_chunk", "number"),
        Row("ttft", "gen_ai.client.operation.time_to_first_chunk", "number"),
        Row("ttft", "gen_ai.server.time_to_first_token", "number", order=5),
        # LoongSuite writes ns, Sentry s, others what they like: the call tells which it can be.
        Row("ttft", "gen_ai.response.time_to_first_token", "number", order=6),
        Row("ttft", "gen_ai.response.time_to_first_token_ms", "number", scale=1e-3, order=6),
        Row("ttft", "gen_ai.response.ttft_ms", "number", scale=1e-3, order=6),
        Row("streaming", "gen_ai.request.stream", "flag"),
        Row("streaming", "gen_ai.is_streaming", "flag"),
        Row("streaming", "gen_ai.request.streaming", "flag", order=5),
        # Sentry's.
        Row("streaming", "gen_ai.response.streaming", "flag", order=5),
        Row("streams", "gen_ai.response.time_to_first_chunk", "number"),
        Row("finish_reasons", "gen_ai.response.finish_reasons", "list"),
        Row("finish_reasons", "gen_ai.response.finish_reason", "list"),
        Row("finish_reasons", "gen_ai.response.stop_reason", "list"),
        # Anthropic's own library, which writes the conventions but for this.
        Row("finish_reasons", "anthropic.message.stop_reason", "list"),
        Row("output_content", "gen_ai.output.messages", "content"),
        Row("refusal_text", "gen_ai.completion.#.refusal", "content"),
        Row("error_type", "error.type"),
        Row("error_code", "error.code"),
        Row("error_message", "error.message", "content"),
        Row("http_status", "http.response.status_code", "number"),
        Row("http_status", "http.status_code", "number"),
        Row("cache_hit", "gen_ai.cache.hit", "flag"),
        Row("tool_name", "gen_ai.tool.name"),
        Row("tool_status", "gen_ai.tool.status"),
        Row("evaluation_name", "gen_ai.evaluation.name"),
        Row("evaluation_score", "gen_ai.evaluation.score.value", "content"),
        Row("evaluation_label", "gen_ai.evaluation.score.label"),
        Row("evaluation_target", "gen_ai.evaluation.target_span_id"),
        # Proposals that were never merged; read where they are, never relied upon.
        Row("guardrail_name", "gen_ai.guardrail.component.name"),
        Row("guardrail_verdict", "gen_ai.guardrail.result.value", "content"),
        Row("guardrail_verdict", "gen_ai.security.verdict.value", "content"),
        Row("guardrail_category", "gen_ai.guardrail.risk.name", "list"),
        Row("guardrail_stage", "gen_ai.guardrail.source"),
        *bare("", order=6),
        *bare("app.", order=6),
        Row("tags", "tags", "list", order=6),
        Row("service_version", "service.version", anywhere=True),
        Row("deployment", "deployment.id", anywhere=True),
        Row("deployment", "deployment.name", anywhere=True),
        Row("deployment", "vcs.ref.head.revision", anywhere=True),
    ),
    kinds={
        "chat": "chat",
        "generate_content": "chat",
        "text_completion": "chat",
        # Semantic Kernel.
        "chat.completions": "chat",
        "text.completions": "chat",
        # Rig, of Rust; Grafana's Sigil, of many languages.
        "chat_streaming": "chat",
        "generatetext": "chat",
        "streamtext": "chat",
        "embeddings": "embedding",
        "embedding": "embedding",
        "rerank": "rerank",
        "retrieval": "retrieval",
        "invoke_agent": "agent",
        "create_agent": "agent",
        "invoke_workflow": "workflow",
        "plan": "workflow",
        "execute_tool": "tool",
        "fetch_response": "other",
        "run_guardrail": "guardrail",
        "apply_guardrail": "guardrail",
        "evaluate": "evaluator",
        "evaluation": "evaluator",
        **dict.fromkeys(
            (
                "create_memory_store",
                "delete_memory_store",
                "create_memory",
                "update_memory",
                "upsert_memory",
                "delete_memory",
                "search_memory",
            ),
            "other",
        ),
    },
)
