"""schemathesis asks every operation for anything its description allows, and some that it does not.

Needs what ``.ci/browser`` installs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.web.desk import TOKEN, taken_up
from tripswitch.web.openapi import OPERATIONS

pytestmark = [pytest.mark.parts, pytest.mark.timeout(600)]

_EXAMPLES = 40
_ADMITTED = {"authorization": f"Bearer {TOKEN}"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_answer_is_a_fault_or_other_than_described(tmp_path: Path) -> None:
    import schemathesis

    desk = taken_up(tmp_path)
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", desk.app)
    asked = []
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path == "/v1/stream":
            # It has no end; tests/web/test_stream.py reads it.
            continue
        asked.append(f"{operation.method.upper()} {operation.path}")

        @settings(
            max_examples=_EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask_it(case: Any) -> None:
            # Anything is asked of it, not ten guesses a minute.
            desk.clock.now_s += 100
            answer = case.call(headers=_ADMITTED)
            assert answer.status_code < 500
            # This asks again without the token, and with a wrong one.
            case.validate_response(answer, headers=_ADMITTED)

        ask_it()
    # The document itself is what it asks from.
    assert len(asked) == len(OPERATIONS) - 2
