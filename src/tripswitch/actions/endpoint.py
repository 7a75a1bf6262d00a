"""The address of a webhook, checked before it is called."""

from __future__ import annotations

import httpx

from tripswitch.errors import ConfigError


def checked_url(text: str, place: str) -> httpx.URL:
    """Return ``text`` as a URL; `ConfigError` naming ``place`` unless it is http or https."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        # The text is left out: a webhook's URL often is its password.
        found = "a text that is not one" if text else "nothing"
        raise ConfigError(
            f"{place}: expected a URL that starts with http:// or https://, got {found}",
            hint="write the address in full, such as http://gateway:8080/rollback",
        )
    return url
