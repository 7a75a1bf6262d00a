"""Playing traffic through a session, with a gateway that honours rollbacks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from tests.traffic import START_NS, Arm, Behaviour, Plan, requests, rollout
from tripswitch.config.model import Clock, Config, Fleet
from tripswitch.config.rollback_section import Rollback as RollbackConfig
from tripswitch.config.target_sections import WebhookTarget
from tripswitch.drive.session import Arrival, Session
from tripswitch.model.messages import Command, Event, Notify, Rollback, RollbackOutcome

BAD = Behaviour(score=0.81, refusals=0.22)
"""v18 of the story: nine points less faithful, eighteen points more refusals."""

TARGET = WebhookTarget(
    name="gateway", url="http://127.0.0.1:9/rollback", secret=SecretStr("whsec_" + "A" * 44)
)


def config(**changes: Any) -> Config:
    """Return the defaults on the telemetry's clock, with a target that may act by itself."""
    settings: dict[str, Any] = {
        "clock": Clock(source="telemetry"),
        "fleet": Fleet(single=True),
        "rollback": RollbackConfig(targets=[TARGET]),
    }
    return Config(**(settings | changes))


@dataclass
class Played:
    """What came out of one run."""

    session: Session
    commands: list[Command] = field(default_factory=list)

    @property
    def events(self) -> list[Event]:
        """Every event in order."""
        return [command for command in self.commands if isinstance(command, Event)]

    @property
    def names(self) -> list[str]:
        """The names of the events in order."""
        return [event.name.value for event in self.events]

    @property
    def rollbacks(self) -> list[Rollback]:
        """Every rollback that was commanded."""
        return [command for command in self.commands if isinstance(command, Rollback)]

    @property
    def notified(self) -> list[str]:
        """The names of the events that people were told of."""
        return [
            command.event.name.value for command in self.commands if isinstance(command, Notify)
        ]

    def first(self, name: str) -> Event:
        """Return the first event called ``name``."""
        return next(event for event in self.events if event.name.value == name)

    def minute_of(self, name: str) -> float:
        """Return when the first event called ``name`` happened, in story minutes."""
        return (self.first(name).time_ns - START_NS) / 60e9

    def lines(self) -> str:
        """Return the events as replay prints them."""
        return "\n".join(json.dumps(event.as_json()) for event in self.events)


def play(
    plan: Plan,
    minutes: float,
    *,
    settings: Config | None = None,
    session: Session | None = None,
    seed: int = 1,
    answer: str | None = "acknowledged",
    honours: bool = True,
    on_second: Callable[[Session, float], Iterable[Command]] | None = None,
) -> Played:
    """Run traffic through a session; ``answer`` is what the gateway says to a rollback.

    When it ``honours`` the call, the canary serves v17 from then on.
    """
    played = Played(session or Session(settings or config()))
    put_back = [False]

    def served(second: float) -> list[Arm]:
        arms = plan(second)
        if not put_back[0]:
            return arms
        return [_back(arm) if arm.version == "v18" else arm for arm in arms]

    def take(commands: Iterable[Command]) -> None:
        for command in commands:
            played.commands.append(command)
            if isinstance(command, Rollback) and answer is not None:
                put_back[0] = honours
                outcome = RollbackOutcome(command.key, answer, "answered")  # type: ignore[arg-type]
                take(played.session.outcome(outcome))

    step_s = 5.0
    for step, body in enumerate(requests(served, minutes, seed=seed, step_s=step_s)):
        take(played.session.feed([Arrival(body, 0)]))
        if on_second is not None:
            take(on_second(played.session, step * step_s))
    take(played.session.finish())
    return played


def _back(arm: Arm) -> Arm:
    return Arm(arm.calls_per_s, "v17", arm.cohort, Behaviour(), arm.route, arm.model)


def story(bad: Behaviour = BAD) -> Plan:
    """Return the refund story with v18 in the canary from minute 10."""
    return rollout(bad, canary_per_s=6.0, control_per_s=6.5)
