"""The text of a prompt version as one text to compare, whatever form its registry keeps it in."""

from __future__ import annotations

import json
from typing import Any

MOST_CHARS = 200_000


def text_of(template: Any) -> str | None:
    """Return a template as text: a string as it is, messages one under the other with their roles.

    None for what is neither. Bounded to `MOST_CHARS`.
    """
    if isinstance(template, str):
        return template[:MOST_CHARS]
    if isinstance(template, list) and template:
        parts = [_message(each) for each in template]
        return None if None in parts else "\n\n".join(map(str, parts))[:MOST_CHARS]
    return None


def text_of_json(template: str) -> str | None:
    """Return a template that is text, or the JSON of messages."""
    try:
        messages = json.loads(template)
    except (ValueError, RecursionError):
        return text_of(template)
    return text_of(messages) if isinstance(messages, list) else text_of(template)


def text_of_document(document: Any) -> str | None:
    """Return a document of no form known here as JSON, one member a line, so that it compares."""
    if not isinstance(document, dict | list):
        return None
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)[:MOST_CHARS]


def _message(message: Any) -> str | None:
    if not isinstance(message, dict):
        return None
    if message.get("type") == "placeholder":
        return f"[placeholder {message.get('name')}]"
    content = message.get("content")
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "\n".join(each for each in texts if isinstance(each, str))
    return f"[{message.get('role')}]\n{content}" if isinstance(content, str) else None
