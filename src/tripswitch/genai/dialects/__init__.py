"""The dialects that are known, one module each, in the order their rows are tried."""

from __future__ import annotations

from tripswitch.genai.dialects.agents import ADK, AGENTOPS, DIFY, EINO, STRANDS
from tripswitch.genai.dialects.braintrust import BRAINTRUST
from tripswitch.genai.dialects.deepeval import DEEPEVAL
from tripswitch.genai.dialects.gateways import (
    BIFROST,
    CLOUDFLARE,
    ENVOY,
    KONG,
    PORTKEY,
    TRUEFOUNDRY,
    VLLM,
)
from tripswitch.genai.dialects.genkit import GENKIT
from tripswitch.genai.dialects.guards import GUARDRAILS_AI, NEMO
from tripswitch.genai.dialects.honeyhive import HONEYHIVE
from tripswitch.genai.dialects.jvm import MICROMETER, SPRING_AI
from tripswitch.genai.dialects.laminar import LAMINAR
from tripswitch.genai.dialects.langfuse import LANGFUSE
from tripswitch.genai.dialects.langsmith import LANGSMITH
from tripswitch.genai.dialects.langwatch import LANGWATCH
from tripswitch.genai.dialects.litellm import LITELLM
from tripswitch.genai.dialects.logfire import LOGFIRE
from tripswitch.genai.dialects.mastra import MASTRA
from tripswitch.genai.dialects.mlflow import MLFLOW
from tripswitch.genai.dialects.openinference import OPENINFERENCE
from tripswitch.genai.dialects.openlit import OPENLIT
from tripswitch.genai.dialects.openllmetry import OPENLLMETRY
from tripswitch.genai.dialects.sdks import ANTHROPIC_SDK, MISTRAL_SDK
from tripswitch.genai.dialects.semconv import OURS, SEMCONV
from tripswitch.genai.dialects.traceai import TRACEAI
from tripswitch.genai.dialects.vercel import VERCEL
from tripswitch.genai.rows import Dialect

DIALECTS: tuple[Dialect, ...] = (
    OURS,
    SEMCONV,
    LITELLM,
    LANGFUSE,
    OPENINFERENCE,
    DIFY,
    SPRING_AI,
    EINO,
    TRACEAI,
    OPENLLMETRY,
    LOGFIRE,
    VERCEL,
    OPENLIT,
    MLFLOW,
    MASTRA,
    LANGSMITH,
    LANGWATCH,
    LAMINAR,
    HONEYHIVE,
    STRANDS,
    ADK,
    GENKIT,
    AGENTOPS,
    BRAINTRUST,
    DEEPEVAL,
    NEMO,
    GUARDRAILS_AI,
    ENVOY,
    KONG,
    PORTKEY,
    BIFROST,
    CLOUDFLARE,
    TRUEFOUNDRY,
    VLLM,
    ANTHROPIC_SDK,
    MISTRAL_SDK,
    MICROMETER,
)
