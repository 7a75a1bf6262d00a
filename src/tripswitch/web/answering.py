"""Answers in JSON, and the bodies of posts: bounded, of the right type, quoted nowhere."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_POST_BYTES: Final = 4 << 20


class BodyError(Exception):
    """A body that is not taken, with the status to answer and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


async def body_of(request: Request) -> Any:
    """Return the JSON that was posted. Raises BodyError, or ValueError for what is no JSON.

    Only ``application/json`` is taken, which no page of a browser may send here from elsewhere.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise BodyError(415, "send content-type: application/json")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_POST_BYTES:
            raise BodyError(413, f"expected at most {MAX_POST_BYTES} bytes; send several lists")
    return _parsed(bytes(body))


def _parsed(body: bytes) -> Any:
    """Return the JSON of a body. Raises ValueError with a sentence that quotes nothing of it."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except ValueError as error:
        place = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"not JSON{place}") from None


def json_answer(content: Any, status_code: int = 200) -> Response:
    """Return ``content`` as JSON; a number that JSON cannot say is null."""
    return Response(
        json.dumps(_finite(content), ensure_ascii=False, allow_nan=False),
        status_code,
        media_type="application/json",
        headers={"cache-control": "no-store", "x-content-type-options": "nosniff"},
    )


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return value
