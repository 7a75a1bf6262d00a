"""The Vercel AI SDK, its older ``ai.*`` keys; the newer form is read as the conventions.

The outer span of a generation carries the sums of its steps and is no call. Times are in ms.
Source: vercel/ai packages/otel of August 2026, and recorded payloads of versions 6 and 7.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row, bag

VERCEL = Dialect(
    "vercel",
    scopes=(),
    markers=("ai.operationId",),
    rows=(
        Row("operation", "ai.operationId", order=-1),
        Row("route", "ai.telemetry.functionId", order=7),
        Row("route", "resource.name", order=8, own_spans=True),
        *bag("ai.telemetry.metadata."),
        *bag("ai.settings.context."),
        Row("prompt_name", "ai.telemetry.metadata.langfusePrompt", member="name"),
        Row("prompt_version", "ai.telemetry.metadata.langfusePrompt", member="version"),
        Row("tags", "ai.telemetry.metadata.tags", "list"),
        Row("provider", "ai.model.provider", order=5),
        Row("request_model", "ai.model.id", order=5),
        Row("response_model", "ai.response.model", order=5),
        Row("response_id", "ai.response.id", order=5),
        Row("input_tokens", "ai.usage.inputTokens", "number"),
        Row("input_tokens", "ai.usage.promptTokens", "number"),
        Row("input_tokens", "ai.usage.tokens", "number"),
        Row("output_tokens", "ai.usage.outputTokens", "number"),
        Row("output_tokens", "ai.usage.completionTokens", "number"),
        Row("total_tokens", "ai.usage.totalTokens", "number"),
        Row("cached_tokens", "ai.usage.inputTokenDetails.cacheReadTokens", "number"),
        Row("cached_tokens", "ai.usage.cachedInputTokens", "number"),
        Row("cache_write_tokens", "ai.usage.inputTokenDetails.cacheWriteTokens", "number"),
        Row("reasoning_tokens", "ai.usage.outputTokenDetails.reasoningTokens", "number"),
        Row("reasoning_tokens", "ai.usage.reasoningTokens", "number"),
        # Version 4 tells these only in what the provider added.
        *(
            Row(fact, "ai.response.providerMetadata", "number", member=member, order=5)
            for fact, member in (
                ("cached_tokens", "openai.cachedPromptTokens"),
                ("cached_tokens", "azure.cachedPromptTokens"),
                ("cached_tokens", "anthropic.cacheReadInputTokens"),
                ("cached_tokens", "bedrock.usage.cacheReadInputTokens"),
                ("cached_tokens", "deepseek.promptCacheHitTokens"),
                ("cache_write_tokens", "anthropic.cacheCreationInputTokens"),
                ("cache_write_tokens", "bedrock.usage.cacheWriteInputTokens"),
                ("reasoning_tokens", "openai.reasoningTokens"),
                ("reasoning_tokens", "azure.reasoningTokens"),
            )
        ),
        Row("ttft", "ai.response.msToFirstChunk", "number", scale=1e-3),
        Row("ttft", "ai.stream.msToFirstChunk", "number", scale=1e-3),
        Row("streams", "ai.response.msToFirstChunk", "number"),
        Row("finish_reasons", "ai.response.finishReason", "list"),
        Row("tool_name", "ai.toolCall.name"),
    ),
    kinds={
        "ai.generatetext.dogenerate": "chat",
        "ai.generateobject.dogenerate": "chat",
        "ai.streamtext.dostream": "chat",
        "ai.streamobject.dostream": "chat",
        "ai.embed.doembed": "embedding",
        "ai.embedmany.doembed": "embedding",
        "ai.rerank.dorerank": "rerank",
        "ai.generatetext": "agent",
        "ai.streamtext": "agent",
        "ai.generateobject": "agent",
        "ai.streamobject": "agent",
        "ai.embed": "workflow",
        "ai.embedmany": "workflow",
        "ai.rerank": "workflow",
        "ai.toolcall": "tool",
        "agent_step": "workflow",
        "step": "workflow",
    },
)
