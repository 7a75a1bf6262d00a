"""The envelope of every webhook: CloudEvents 1.0 in structured JSON mode.

Source: CloudEvents 1.0.2, "JSON Event Format". The bytes depend on the effect alone, so they are
the same on every retry, also after a restart.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from tripswitch.model.clocktext import rfc3339

if TYPE_CHECKING:
    from tripswitch.model.outbox import Effect

CONTENT_TYPE = "application/cloudevents+json"

# Header-safe, and without the full stop that separates the parts of a Standard Webhooks signature.
_PLAIN_ID = re.compile(r"[A-Za-z0-9_/:-]{1,128}")


def message_id(key: str) -> str:
    """Return the id an effect goes out under: its key, or a hash where that cannot be a header."""
    if _PLAIN_ID.fullmatch(key):
        return key
    return "sha256-" + hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:40]


def envelope(effect: Effect, instance: str) -> bytes:
    """Return the event that tells a receiver of ``effect``, as UTF-8 JSON.

    ``instance`` names the sidecar's state and becomes the source ``/tripswitch/<instance>``.
    """
    event = {
        "specversion": "1.0",
        "id": message_id(effect.key),
        "source": f"/tripswitch/{instance}",
        "type": effect.type,
        "subject": effect.subject,
        "time": rfc3339(effect.occurred_ns),
        "datacontenttype": "application/json",
        "data": json.loads(effect.body),
    }
    return json.dumps(event, separators=(",", ":"), allow_nan=False).encode()
