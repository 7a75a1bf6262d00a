"""The application's side: spans go to tripswitch, prompts still come from Langfuse itself.

pip install langfuse openai opentelemetry-exporter-otlp-proto-http
"""

from langfuse import Langfuse, propagate_attributes
from langfuse.openai import openai
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

# LANGFUSE_BASE_URL and the keys stay as they are: prompts and scores go there by REST.
langfuse = Langfuse(span_exporter=OTLPSpanExporter("http://localhost:4318/v1/traces"))


def answer(question: str, cohort: str) -> str:
    """Answer with the version that the cohort's label points at."""
    prompt = langfuse.get_prompt("refund-bot", label=cohort if cohort == "canary" else "production")
    with propagate_attributes(metadata={"cohort": cohort, "route": "/chat/refund"}):
        made = openai.chat.completions.create(
            model="gpt-4.1",
            messages=[{"role": "user", "content": prompt.compile(question=question)}],
            langfuse_prompt=prompt,
        )
    return made.choices[0].message.content or ""
