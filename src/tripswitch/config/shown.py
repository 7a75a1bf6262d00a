"""The effective configuration as it may be shown and kept: without secrets."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import yaml
from pydantic import SecretStr

from tripswitch.config.section import Section

if TYPE_CHECKING:
    from tripswitch.config.model import Config

HIDDEN: Final = "(hidden)"


def shown_config(config: Config) -> dict[str, Any]:
    """Return every value of ``config`` in JSON types; secrets are hidden, URLs keep their host."""
    shown: dict[str, Any] = _shown(config)
    return shown


def config_text(config: Config) -> str:
    """Return the same as YAML."""
    return yaml.safe_dump(shown_config(config), sort_keys=False, allow_unicode=False)


def config_digest(config: Config) -> str:
    """Return the SHA-256 of `config_text`: which configuration decided, for the audit."""
    return hashlib.sha256(config_text(config).encode()).hexdigest()


def _shown(value: Any) -> Any:
    if isinstance(value, Section):
        plain = value.model_dump(mode="json")
        found = {}
        for name, field in type(value).model_fields.items():
            marks = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            member = getattr(value, name)
            if marks.get("web_url"):
                found[name] = _host_of(member)
            else:
                inner = _shown(member)
                # What has no sections below is written as in the file: 15m, 64MiB.
                found[name] = plain[name] if inner is member else inner
        return found
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    if isinstance(value, list) and any(isinstance(each, Section) for each in value):
        return [_shown(each) for each in value]
    if isinstance(value, dict) and any(
        isinstance(each, Section | SecretStr) for each in value.values()
    ):
        return {name: _shown(each) for name, each in value.items()}
    return value


def _host_of(url: str) -> str:
    """Return a URL as far as it names a host: the rest is often a token."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return HIDDEN
    return f"{parts.scheme}://{parts.hostname}{port}/..."
