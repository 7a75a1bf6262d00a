"""HoneyHive, whose SDK puts its own keys beside those of the instrumentation that it is used with.

It gives spans that it knows nothing of a type too: only the one that a person named is read.
Source: honeyhive 1.7.0 and payloads of it.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row, bag

HONEYHIVE = Dialect(
    "honeyhive",
    scopes=("honeyhive",),
    markers=("honeyhive_metadata.event_type",),
    rows=(
        Row("operation", "honeyhive_metadata.event_type", order=5),
        *bag("honeyhive_metadata."),
        *bag("honeyhive_config.", order=6),
        *bag("honeyhive_user_properties.", order=6),
        Row("session", "honeyhive.session_id", order=7),
    ),
    kinds={"model": "chat"},
)
