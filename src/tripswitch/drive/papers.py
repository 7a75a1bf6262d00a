"""Writing about an incident: the ledger and templates in, files out.

What is written is made by `tripswitch.incidents`, which touches nothing; here are the folder of
the ledger, the package's templates and an operator's own, and the files of a postmortem.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from tripswitch.actions.attempt import Attempt
from tripswitch.actions.prompts import prompt_texts
from tripswitch.errors import ConfigError, TripswitchError
from tripswitch.incidents.case import Case, case_of
from tripswitch.incidents.chart_png import ChartUnavailableError, png_of
from tripswitch.incidents.comms import CommsSettings
from tripswitch.incidents.postmortem.cause import MOST_PROMPT_CHARS
from tripswitch.incidents.postmortem.document import Postmortem, PostmortemSettings, postmortem_of
from tripswitch.incidents.postmortem.filled_in import (
    FilledIn,
    filled_in_of,
    items_text,
    missing_items,
    new_file,
)
from tripswitch.incidents.postmortem.render import as_html, as_markdown
from tripswitch.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tripswitch.config.model import Config
    from tripswitch.incidents.postmortem.actions import ActionItem

LEDGER_FILE: Final = "ledger.sqlite"
FILLED_IN: Final = "filled-in.yaml"
LATEST: Final = "latest"

_MOST_INCIDENTS: Final = 10_000
_MOST_TEMPLATE_BYTES: Final = 256 << 10
_MOST_FILLED_IN_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and why the document may not be called final yet.

    ``prompts`` says why the registry gave no texts of the prompt; empty where it did, or was not
    asked.
    """

    document: Postmortem
    files: tuple[Path, ...]
    problems: tuple[str, ...]
    prompts: str = ""


@contextlib.contextmanager
def ledger_of(config: Config) -> Iterator[Ledger]:
    """Open the ledger of a configuration. Raises TripswitchError where there is none."""
    path = Path(config.storage.directory) / LEDGER_FILE
    if not path.is_file():
        raise TripswitchError(
            f"there is no ledger at {path}",
            hint="give the --config that tripswitch runs with, from the folder it runs in",
        )
    with Ledger(path) as ledger:
        yield ledger


def find_case(ledger: Ledger, wanted: str) -> Case:
    """Return the case of an id, of the beginning of one, or the ``latest``.

    Raises TripswitchError when there is none or more than one.
    """
    ids = [str(one["id"]) for one in ledger.incidents(_MOST_INCIDENTS)]
    if not ids:
        raise TripswitchError("the ledger has no incident yet")
    if wanted == LATEST:
        found = ids[:1]
    else:
        found = [one for one in ids if one == wanted] or [
            one for one in ids if wanted and one.startswith(wanted)
        ]
    if len(found) != 1:
        count = "no incident" if not found else f"{len(found)} incidents"
        raise TripswitchError(
            f"{count} of the ledger fit {wanted!r}",
            hint=f"the latest is {ids[0]}; `tripswitch status` shows the open ones",
        )
    document = ledger.case(found[0])
    assert document is not None
    return case_of(document)


def templates_of(kind: str, folder: str = "") -> dict[str, str]:
    """Return the built-in templates of a kind by name, with those of ``folder`` in their place.

    Raises ConfigError for a folder that is not there and for a file that no built-in one is called.
    """
    place = resources.files("tripswitch") / "templates" / kind
    texts = {
        one.name: one.read_text("utf-8")
        for one in sorted(place.iterdir(), key=lambda one: one.name)
        if one.name.endswith(".j2")
    }
    if not folder:
        return texts
    own = Path(folder)
    if not own.is_dir():
        raise ConfigError(f"comms.templates: {own} is no folder")
    for path in sorted(own.glob("*.j2")):
        if path.name not in texts:
            raise ConfigError(
                f"comms.templates: nothing uses {path.name}", hint=f"names are {', '.join(texts)}"
            )
        texts[path.name] = text_of(path, _MOST_TEMPLATE_BYTES)
    return texts


def write_postmortem(
    case: Case,
    folder: Path,
    config: Config,
    *,
    is_final: bool = False,
    with_html: bool = True,
    with_png: bool = True,
    prompts: tuple[Path, Path] | None = None,
    prompts_from_registry: bool = False,
) -> Written:
    """Write the postmortem of ``case`` into ``folder`` and return what was written.

    ``prompts`` are files with the text of the good and of the bad version; without them the
    registry that is a rollback target is asked, where that is wanted (`Written.prompts` says what
    came of it). What people filled in stays as it is. A final one that lacks something is not
    written, see `Written.problems`. Raises ConfigError for a file, or an address of the
    registry, that cannot be used.
    """
    texts, said = None, ""
    if prompts is not None:
        texts = (text_of(prompts[0], MOST_PROMPT_CHARS), text_of(prompts[1], MOST_PROMPT_CHARS))
    elif prompts_from_registry:
        texts, said = _from_registry(case, config)
    settings = PostmortemSettings(
        config.postmortem.draft_within,
        config.postmortem.publish_within,
        config.detect.alpha_start,
    )
    path = folder / FILLED_IN
    filled = read_filled_in(path)
    document = postmortem_of(case, filled, settings, is_final=is_final, prompts=texts)
    folder.mkdir(parents=True, exist_ok=True)
    files = [path] if keep_filled_in(path, case.id, filled, document.drafted) else []
    problems = tuple(document.problems()) if is_final else ()
    if problems:
        return Written(document, tuple(files), problems, said)
    templates = templates_of("postmortem")
    written: list[tuple[str, bytes]] = [
        ("postmortem.md", as_markdown(document, templates).encode())
    ]
    if with_html:
        written.append(("postmortem.html", as_html(document, templates).encode()))
    for chart in document.charts:
        written.append((chart.file, chart.svg.encode()))
        if not with_png:
            continue
        with contextlib.suppress(ChartUnavailableError):
            written.append((chart.file.removesuffix(".svg") + ".png", png_of(chart.svg)))
    for name, body in written:
        (folder / name).write_bytes(body)
        files.append(folder / name)
    return Written(document, tuple(files), (), said)


def read_filled_in(path: Path) -> FilledIn:
    """Return what people filled in; nothing where there is no file yet. Raises ConfigError."""
    if not path.exists():
        return FilledIn()
    return filled_in_of(_yaml_of(text_of(path, _MOST_FILLED_IN_BYTES), path), str(path))


def keep_filled_in(
    path: Path, incident_id: str, filled: FilledIn, drafted: Sequence[ActionItem]
) -> bool:
    """Put drafted items that the file does not have at its end; return whether it changed.

    Not a character of what stands there is touched. Where items cannot be added as text, because
    the list is not the last thing in the file, they are left out: the document has them.
    """
    if not path.exists():
        path.write_text(new_file(incident_id, drafted), "utf-8")
        return True
    new = missing_items(filled, drafted)
    if not new:
        return False
    text = path.read_text("utf-8")
    longer = text + ("" if text.endswith("\n") else "\n") + items_text(new)
    try:
        parsed = filled_in_of(_yaml_of(longer, path), str(path))
    except ConfigError:
        return False
    wanted = [one.key for one in filled.actions] + [one.key for one in new]
    if [one.key for one in parsed.actions] != wanted:
        return False
    path.write_text(longer, "utf-8")
    return True


def _from_registry(case: Case, config: Config) -> tuple[tuple[str, str] | None, str]:
    """Return the prompt's texts, the good version's first, or None and why there are none."""
    plan = case.rollback
    if plan is None or not plan.after or not plan.before:
        return None, "no rollback names the two versions"
    found = asyncio.run(
        prompt_texts(
            config.rollback.targets,
            plan.target,
            case.scope.prompt_name,
            (plan.after, plan.before),
        )
    )
    return (None, found.detail) if isinstance(found, Attempt) else (found, "")


def _yaml_of(text: str, path: Path) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{path}{where}: not YAML") from None


def comms_settings(config: Config) -> CommsSettings:
    """Return what the configuration says about status updates."""
    comms = config.comms
    return CommsSettings(
        comms.cadence, dict(comms.names), tuple(comms.tenants), tuple(comms.speculation)
    )


def text_of(path: Path, most_bytes: int = _MOST_TEMPLATE_BYTES) -> str:
    """Return a file's text, at most ``most_bytes`` of it. Raises ConfigError, naming the file."""
    try:
        with path.open("rb") as file:
            body = file.read(most_bytes + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(body) > most_bytes:
        raise ConfigError(f"{path} is longer than {most_bytes} bytes")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None
