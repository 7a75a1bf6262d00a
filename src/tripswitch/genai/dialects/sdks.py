"""What the providers' own SDKs write, without any instrumentation: the conventions and a few keys.

Source: anthropic 2.14.0, mistralai 3.7.0 and their telemetry.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row

ANTHROPIC_SDK = Dialect(
    "anthropic",
    scopes=("com.anthropic.sdk.",),
    # Of the provider's API: what was asked of it is no route of the application.
    rows=(Row("method", "http.route", own_spans=True),),
)

MISTRAL_SDK = Dialect(
    "mistral",
    scopes=("mistralai_sdk_tracer",),
    markers=("mistral_ai.operation.id",),
    # Nothing but the end of the address says that an answer was streamed.
    rows=(Row("method", "http.url", own_spans=True),),
)
