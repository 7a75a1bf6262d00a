"""Who may post changes with the configuration, and a bad edit lets nobody else in."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from tripswitch.config.wire_sections import Auth
from tripswitch.drive.api_tokens import ApiTokens
from tripswitch.errors import ConfigError


def admitted(tokens: ApiTokens, token: str) -> bool:
    now = tokens()
    return now is None or now.admits(f"Bearer {token}")


def test_tokens_follow_the_configuration(tmp_path: Path) -> None:
    auth = Auth()
    tokens = ApiTokens(lambda: auth)
    assert tokens() is None
    auth = Auth(bearer_token=SecretStr("one"))
    assert (admitted(tokens, "one"), admitted(tokens, "other")) == (True, False)
    auth = Auth(bearer_token_file=str(tmp_path / "gone"))
    assert (admitted(tokens, "one"), admitted(tokens, "other")) == (True, False)
    file = tmp_path / "tokens"
    file.write_text("other\n")
    auth = Auth(bearer_token_file=str(file))
    assert (admitted(tokens, "one"), admitted(tokens, "other")) == (False, True)


def test_a_token_that_cannot_be_read_to_begin_with_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"telemetry\.api\.auth"):
        ApiTokens(lambda: Auth(bearer_token_file=str(tmp_path / "gone")))
