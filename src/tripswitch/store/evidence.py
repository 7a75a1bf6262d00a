"""Evidence: what is sealed of an incident, with checksums, in files that only this user can read.

One folder an incident under ``evidence`` in the state folder, in it one numbered bundle each time
it was sealed: the incident, its timeline with the chain's links, the configuration, the spans where
capture is on, and ``MANIFEST.json`` with a SHA-256 for each file. The digest of the manifest goes
into the hash-chained timeline, so that a bundle can be held to what was sealed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tripswitch.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

FOLDER: Final = "evidence"
MANIFEST: Final = "MANIFEST.json"
NOT_KEPT: Final = (
    "content was not kept: evidence.enabled was false, so this bundle holds facts and ids alone"
)

_REDACTED: Final = "[redacted]"
_LONGEST_VALUE: Final = 64 * 1024
_MOST_SPANS: Final = 2_000
_ID: Final = re.compile(r"inc_[0-9a-f]{1,64}")


@dataclass(frozen=True, slots=True)
class Sealed:
    """One bundle: where it is, the digest of its manifest, how many spans are in it."""

    path: Path
    digest: str
    spans: int


class Vault:
    """The folder of all bundles. Raises LedgerError where the disk does not let it."""

    def __init__(self, state: Path) -> None:
        self.folder = state / FOLDER

    def seal(
        self,
        incident_file: dict[str, Any],
        config_text: str,
        spans: Iterable[dict[str, Any]] | None,
        redact: Sequence[str],
    ) -> Sealed:
        """Write and seal a bundle; ``spans`` is None where capture is off."""
        incident = incident_file["incident"]
        try:
            return self._seal(incident, incident_file, config_text, spans, redact)
        except OSError as error:
            raise LedgerError(
                f"cannot seal evidence of {incident['id']}: {error.strerror}",
                hint="storage.directory must be writable and have room",
            ) from error

    def bundles(self, incident_id: str) -> list[Path]:
        """Return the bundles of one incident, oldest first."""
        if not _ID.fullmatch(incident_id):
            return []
        folder = self.folder / incident_id
        found = [path for path in folder.glob("[0-9]*") if (path / MANIFEST).is_file()]
        return sorted(found, key=lambda path: int(path.name))

    def damage(self, bundle: Path) -> list[str]:
        """Return what of a bundle is not as it was sealed, empty when all is."""
        try:
            manifest = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
            files = dict(manifest["files"])
        except (OSError, ValueError, KeyError, TypeError):
            return [f"{MANIFEST} cannot be read"]
        found = []
        for name, digest in files.items():
            try:
                content = (bundle / name).read_bytes()
            except OSError:
                found.append(f"{name} is missing")
                continue
            if hashlib.sha256(content).hexdigest() != digest:
                found.append(f"{name} was changed")
        there = {path.name for path in bundle.iterdir()} - {MANIFEST}
        return found + [f"{name} was added" for name in sorted(there - set(files))]

    def digest(self, bundle: Path) -> str:
        """Return the digest of a bundle's manifest, as it stands in the timeline."""
        return hashlib.sha256((bundle / MANIFEST).read_bytes()).hexdigest()

    def prune(self, before_s: float, max_bytes: int) -> int:
        """Remove what was sealed before ``before_s`` (epoch) or is over ``max_bytes``.

        The security class is kept whatever it takes. Return how many incidents went.
        """
        kept, gone, total_bytes = [], 0, 0
        folders = [path for path in self.folder.glob("inc_*") if path.is_dir()]
        for folder in sorted(folders, key=lambda path: path.stat().st_mtime):
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            total_bytes += size
            is_security = (folder / "SECURITY").exists()
            if not is_security and folder.stat().st_mtime < before_s:
                shutil.rmtree(folder)
                gone, total_bytes = gone + 1, total_bytes - size
            elif not is_security:
                kept.append((folder, size))
        for folder, size in kept:
            if total_bytes <= max_bytes:
                break
            shutil.rmtree(folder)
            gone, total_bytes = gone + 1, total_bytes - size
        return gone

    def _seal(
        self,
        incident: dict[str, Any],
        incident_file: dict[str, Any],
        config_text: str,
        spans: Iterable[dict[str, Any]] | None,
        redact: Sequence[str],
    ) -> Sealed:
        folder = self.folder / incident["id"]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if incident["security"]:
            _write(folder / "SECURITY", b"kept past retention\n")
        # Beyond the last one that is sealed, of which one may be missing: none is written over.
        sealed = [int(path.name) for path in self.bundles(incident["id"])]
        bundle = folder / str(max(sealed, default=0) + 1)
        shutil.rmtree(bundle, ignore_errors=True)
        bundle.mkdir(mode=0o700)
        count = 0
        files = {
            "incident.json": _json(incident),
            "timeline.json": _json(incident_file["timeline"]),
            "actions.json": _json(incident_file["actions"]),
            "config.yaml": config_text.encode(),
        }
        if spans is None:
            files["CONTENT.txt"] = (NOT_KEPT + "\n").encode()
        else:
            expressions = [re.compile(pattern) for pattern in redact]
            lines = []
            for request in spans:
                count += 1
                if count > _MOST_SPANS:
                    break
                lines.append(_json(_redacted(request, expressions), indent=None))
            files["spans.jsonl"] = b"".join(lines)
        digests = {}
        for name, content in files.items():
            _write(bundle / name, content)
            digests[name] = hashlib.sha256(content).hexdigest()
        manifest = _json(
            {
                "incident": incident["id"],
                "security": incident["security"],
                "content_kept": spans is not None,
                "files": digests,
            }
        )
        # Last, so that a bundle with a manifest is whole.
        _write(bundle / MANIFEST, manifest)
        return Sealed(bundle, hashlib.sha256(manifest).hexdigest(), count)


def _json(value: Any, indent: int | None = 2) -> bytes:
    return (json.dumps(value, indent=indent, ensure_ascii=True) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    file_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file_fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _redacted(value: Any, expressions: Sequence[re.Pattern[str]]) -> Any:
    if isinstance(value, str):
        value = value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "…"
        for expression in expressions:
            value = expression.sub(_REDACTED, value)
        return value
    if isinstance(value, list):
        return [_redacted(member, expressions) for member in value]
    if isinstance(value, dict):
        # Ids and times are no text of a person, and digits of theirs look like card numbers.
        return {
            name: member if name in _NO_TEXT else _redacted(member, expressions)
            for name, member in value.items()
        }
    return value


_NO_TEXT: Final = frozenset(
    {"traceId", "spanId", "parentSpanId", "startTimeUnixNano", "endTimeUnixNano", "timeUnixNano"}
)
