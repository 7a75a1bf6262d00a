"""What no single field can say: settings that do not go together, and settings worth a warning."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from pydantic import SecretStr

from tripswitch.config.endpoints import is_loopback, same_listener, split_endpoint
from tripswitch.config.problems import NOWHERE, Problem
from tripswitch.config.understanding_consistency import understanding_conflicts
from tripswitch.config.wire_consistency import receiver_listeners, wire_conflicts, wire_warnings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

    from tripswitch.config.detect_sections import Signals
    from tripswitch.config.model import Config
    from tripswitch.config.section import Section

Path: TypeAlias = tuple[str | int, ...]

SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix of Standard Webhooks secrets
MIN_SECRET_BYTES = 24
MAKE_ONE_HINT = (
    'make one with: python -c "import secrets,base64; '
    "print('whsec_'+base64.b64encode(secrets.token_bytes(32)).decode())\""
)


def conflicts_of(config: Config) -> list[Problem]:
    """Return the errors in how the settings of ``config`` go together, without their lines."""
    return [
        *wire_conflicts(config),
        *understanding_conflicts(config),
        *_addresses(config),
        *_lines(config),
        *_entries(config),
        *_names(("notify",), [each.name for each in config.notify]),
        *_names(("rollback", "targets"), [each.name for each in config.rollback.targets]),
    ]


def warnings_of(config: Config) -> list[Problem]:
    """Return what works but is seldom meant, without lines."""
    return [*wire_warnings(config), *_wide_binds(config), *_unheard(config), *_unfilled(config)]


def _problem(
    code: str, path: Path, found: str, wanted: str, hint: str = "", also: tuple[Path, ...] = ()
) -> Problem:
    return Problem(code, NOWHERE, path, found, wanted, hint, also)


def _addresses(config: Config) -> Iterator[Problem]:
    listeners = [*receiver_listeners(config), *_own_listeners(config)]
    for i, (path, endpoint) in enumerate(listeners):
        for other_path, other in listeners[:i]:
            if same_listener(endpoint, other):
                yield _problem(
                    "config.conflict",
                    path,
                    f'"{endpoint}", which {".".join(map(str, other_path))} has too',
                    "an address of its own",
                    also=(other_path,),
                )


def _own_listeners(config: Config) -> list[tuple[Path, str]]:
    telemetry = config.telemetry
    return [
        (("telemetry", "metrics", "endpoint"), telemetry.metrics.endpoint),
        (("telemetry", "health", "endpoint"), telemetry.health.endpoint),
        (("telemetry", "api", "endpoint"), telemetry.api.endpoint),
    ]


def _lines(config: Config) -> Iterator[Problem]:
    yield from _lines_of(("detect",), config.detect)
    for route, signals in config.detect.routes.items():
        yield from _lines_of(("detect", "routes", route), signals)


def _lines_of(path: Path, signals: Signals) -> Iterator[Problem]:
    pairs = [
        (name, "ratio", spent.investigate_ratio, spent.page_ratio)
        for name, spent in (
            ("tokens_per_success", signals.tokens_per_success),
            ("cost_per_success", signals.cost_per_success),
        )
    ]
    for name, rule in (
        ("eval_score", signals.eval_score),
        ("refusal_rate", signals.refusal_rate),
        ("error_rate", signals.error_rate),
        ("tool_errors", signals.tool_errors),
    ):
        pairs.append((name, "points", rule.investigate_points, rule.page_points))
    for name, unit, investigate, page in pairs:
        if investigate > page:
            yield _problem(
                "config.order",
                (*path, name, f"investigate_{unit}"),
                f'"{investigate:g}", above page_{unit}: {page:g}',
                "a line at or below the page line",
                "what wakes a person must be worth a look too",
                also=((*path, name, f"page_{unit}"),),
            )


def _entries(config: Config) -> Iterator[Problem]:
    for i, notifier in enumerate(config.notify):
        yield from _entry(("notify", i), notifier)
    for i, target in enumerate(config.rollback.targets):
        yield from _entry(("rollback", "targets", i), target)


def _entry(path: Path, entry: Section) -> Iterator[Problem]:
    """Check what the fields of one notifier or target are marked as (`config.section`)."""
    for name, field in type(entry).model_fields.items():
        marks = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        value = getattr(entry, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        is_signing = bool(marks.get("signing_secret"))
        if not value:
            if marks.get("needed"):
                wanted = "a signing secret" if is_signing else _needed_text(field, marks)
                hint = MAKE_ONE_HINT if is_signing else ""
                yield _problem("config.missing", (*path, name), "nothing", wanted, hint)
        elif is_signing:
            yield from _secret((*path, name), value)
        elif marks.get("web_url"):
            yield from _url((*path, name), value)


def _needed_text(field: FieldInfo, marks: Mapping[str, object]) -> str:
    example = f" such as {field.examples[0]}" if field.examples else ""
    return f"a {'URL' if marks.get('web_url') else 'value'}{example}"


def _url(path: Path, url: str) -> Iterator[Problem]:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        # The text itself is not shown: webhook URLs often carry a token.
        found = "a text that is no such URL"
        yield _problem("config.format", path, found, "an http:// or https:// URL with a host")


def _secret(path: Path, secret: str) -> Iterator[Problem]:
    wanted = f"{SECRET_PREFIX} and at least {MIN_SECRET_BYTES} bytes in base64"
    if not secret.startswith(SECRET_PREFIX):
        found = f"a secret (hidden) that does not start with {SECRET_PREFIX}"
        yield _problem("config.secret", path, found, wanted, MAKE_ONE_HINT)
        return
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        found = f"a secret (hidden) that is not base64 after {SECRET_PREFIX}"
        yield _problem("config.secret", path, found, wanted, MAKE_ONE_HINT)
        return
    if len(key) < MIN_SECRET_BYTES:
        found = f"a secret (hidden) of {len(key)} bytes"
        yield _problem("config.secret", path, found, wanted, MAKE_ONE_HINT)


def _names(path: Path, names: list[str]) -> Iterator[Problem]:
    for i, name in enumerate(names):
        if name in names[:i]:
            yield _problem(
                "config.duplicate",
                (*path, i, "name"),
                f'"{name}" again',
                "a name of its own",
                "two entries of one name could not be told apart in the audit trail",
                also=((*path, names.index(name), "name"),),
            )


def _wide_binds(config: Config) -> Iterator[Problem]:
    for path, endpoint in _own_listeners(config):
        if endpoint and not is_loopback(split_endpoint(endpoint)[0]):
            yield _problem(
                "config.wide_bind",
                path,
                f'"{endpoint}"',
                "a loopback address",
                "anyone who reaches this port can use it: keep it inside the pod, or behind a "
                "network policy",
            )


def _unheard(config: Config) -> Iterator[Problem]:
    if not config.notify:
        hint = "add an entry under notify; until then incidents show only in the log and the API"
        yield _problem("config.no_notifier", ("notify",), "nobody", "somebody to tell", hint)
    targets = config.rollback.targets
    if not targets:
        yield _problem(
            "config.no_rollback_target",
            ("rollback", "targets"),
            "no target",
            "somebody who can roll back",
            "add an entry under rollback.targets; until then rollbacks are only advice",
        )
    for i, target in enumerate(targets):
        if target.mode in (None, "auto") and config.rollback.enabled and not config.fleet.single:
            yield _problem(
                "config.proposed_only",
                ("rollback", "targets", i),
                "a target that acts by itself while fleet.single is false",
                "fleet.single: true",
                "rollbacks will be proposed, not made; set it where this sidecar sees all "
                "traffic of its routes, else set mode: propose",
            )
        if target.mode == "auto" and not target.is_verified:
            yield _problem(
                "config.unverified_target",
                ("rollback", "targets", i, "mode"),
                f'"auto" for a target of type {target.type}, which was tried on no real server',
                "mode: propose",
                "a person is asked before each of its rollbacks, whatever the mode says",
            )


def _unfilled(config: Config) -> Iterator[Problem]:
    """Warn of news that goes to roles which no notifier reaches."""
    # A status page takes drafted updates and nothing else.
    reached = [each for each in config.notify if each.type != "statuspage"]
    if not reached or any(not each.roles for each in reached):
        return
    roles = config.notifications.roles
    for name, wanted in (
        ("page", roles.page),
        ("investigate", roles.investigate),
        ("security", roles.security),
        ("comms", roles.comms),
        ("postmortem", roles.postmortem),
    ):
        if wanted and not any(set(wanted) & set(each.roles) for each in reached):
            yield _problem(
                "config.unfilled_role",
                ("notifications", "roles", name),
                f"{' and '.join(wanted)}, whom no notifier reaches",
                "a role that a notifier has",
                "add the role to a notifier; until then its news goes to "
                + ("everybody" if name in ("page", "security") else "nobody"),
            )
