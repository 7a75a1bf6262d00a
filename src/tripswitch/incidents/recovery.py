"""Recovery: proven in the spans, never taken from an answer.

Both must hold for every signal of the incident, on the population that was put back, from then on:

(a) the estimate over the alert window is better than the investigate line at each minute of a full
    alert window, with enough samples;
(b) a mirrored e-process has reached 1: with ``z = 1 - y`` it tests "still worse than the reference
    by half the page line", starting at 0.05 and fed nothing. Where nothing was put back the proof
    begins while things are still bad; it begins anew at a bad look, each time with half the budget
    of the time before, so that all beginnings together are false with at most 0.1.

Good looks alone are not proof: with little traffic they declare recovery while the drop is still
there. When (a) holds and (b) cannot be reached yet the incident is no longer failing, not yet
proven. Minutes are taken two minutes late, so that spans on their way are in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from tripswitch.detect.kernels import BETS, mean_one_sample, mean_two_sample
from tripswitch.detect.lines import Lines
from tripswitch.detect.signals import ABSOLUTE, SIGNALS, Kind, Rule
from tripswitch.windows.rings import Floats, Rings

START: Final = 0.05
LAG_MINUTES: Final = 2


@dataclass(frozen=True, slots=True)
class Watched:
    """One signal to prove: its ring row, the control's row (None: the fixed ``usual_y``), lines."""

    kind: Kind
    name: str
    row: int
    control_row: int | None
    usual_y: float
    mirrored: bool
    lines: Lines


class Proof:
    """The running proof of one signal. Minutes are fed in order, each once."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.good_minutes = 0
        self.estimate = float("nan")
        self.samples = 0
        self._log_bets: Floats = np.zeros(BETS)
        self._budget = START
        self._window: deque[Floats] = deque()
        self._pending: Floats = np.zeros((2, 3))
        self._seen: Floats = np.zeros((2, 3))

    @property
    def evidence(self) -> float:
        """Return the mirrored e-value; 1 or more proves the signal back."""
        return float(self._budget * np.exp(np.minimum(self._log_bets, 60.0)).mean())

    def feed(self, rings: Rings, minute: int, window_minutes: int) -> None:
        """Take one complete minute of the rings (absolute minute number)."""
        slot = minute % rings.minute.shape[1]
        pair = np.zeros((2, 3))
        pair[0] = rings.minute[self.watched.row, slot]
        if self.watched.control_row is not None:
            pair[1] = rings.minute[self.watched.control_row, slot]
        if self.watched.mirrored:
            n, s, q = pair[:, 0], pair[:, 1], pair[:, 2]
            pair = np.stack([n, n - s, n - 2 * s + q], axis=1)
        self._bet(pair)
        self._window.append(pair)
        while len(self._window) > window_minutes:
            self._window.popleft()
        self._look()

    def is_proven(self, window_minutes: int) -> bool:
        """Return whether both conditions hold."""
        return self.good_minutes >= window_minutes and self.evidence >= 1

    def as_json(self) -> dict[str, Any]:
        """Return the proof as plain values, its kind by name."""
        watched = asdict(self.watched) | {"kind": self.watched.kind.name}
        return {
            "watched": watched,
            "good_minutes": self.good_minutes,
            "estimate": self.estimate,
            "samples": self.samples,
            "budget": self._budget,
            "log_bets": self._log_bets.tolist(),
            "window": [pair.tolist() for pair in self._window],
            "pending": self._pending.tolist(),
            "seen": self._seen.tolist(),
        }

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> Proof:
        """Return the proof that `as_json` wrote down. Raises KeyError or TypeError for another."""
        watched = dict(kept["watched"])
        watched |= {"kind": Kind[watched["kind"]], "lines": Lines(**watched["lines"])}
        proof = cls(Watched(**watched))
        proof.good_minutes, proof.samples = kept["good_minutes"], kept["samples"]
        proof.estimate, proof._budget = kept["estimate"], kept["budget"]
        proof._log_bets = np.array(kept["log_bets"], dtype=np.float64)
        proof._window = deque(np.array(pair, dtype=np.float64) for pair in kept["window"])
        proof._pending = np.array(kept["pending"], dtype=np.float64)
        proof._seen = np.array(kept["seen"], dtype=np.float64)
        return proof

    def _usual(self) -> float:
        usual = self.watched.usual_y
        return 1 - usual if self.watched.mirrored else usual

    def _half_line(self, usual: float) -> float:
        line = self.watched.lines.page
        if SIGNALS[self.watched.kind].rule is Rule.RATIO:
            line *= usual
        return max(line / 2, 1e-4)

    def _bet(self, pair: Floats) -> None:
        """Bet on recovery with one minute; an arm without data waits for the other."""
        if self.watched.control_row is None:
            n, s, q = (pair[0][column : column + 1] for column in range(3))
            usual = self._usual()
            still_bad = np.array([1 - min(usual + self._half_line(usual), 1.0)])
            gain = mean_one_sample(n, n - s, n - 2 * s + q, still_bad)
            self._log_bets += gain[0]
            return
        self._pending += pair
        if (self._pending[:, 0] == 0).any():
            return
        known = self._seen[1, 0] > 0
        centre = float(self._seen[1, 1] / self._seen[1, 0]) if known else self._usual()
        half = self._half_line(centre)
        x, y = (
            tuple(np.array([value]) for value in (n, n - s, n - 2 * s + q))
            for n, s, q in self._pending
        )
        gain = mean_two_sample(x, y, np.array([1 - centre]), np.array([-half]))  # type: ignore[arg-type]
        self._log_bets += gain[0]
        self._seen += self._pending
        self._pending[:] = 0

    def _look(self) -> None:
        total = np.sum(list(self._window), axis=0)
        n, ny = total[0, 0], total[1, 0]
        self.samples = int(n)
        lines = self.watched.lines
        has_control = self.watched.control_row is not None
        if n < lines.samples or (has_control and ny < lines.samples):
            self.good_minutes = 0
            return
        mean = total[0, 1] / n
        usual = total[1, 1] / ny if has_control else self._usual()
        rule = SIGNALS[self.watched.kind].rule
        if rule is Rule.SLOW:
            self.estimate, line = float(mean), max(lines.page, 2 * usual)
        elif rule in ABSOLUTE:
            self.estimate, line = float(mean), max(lines.page, lines.usual)
        elif rule is Rule.RATIO:
            self.estimate, line = float(mean / usual - 1) if usual > 0 else 0.0, lines.investigate
        else:
            self.estimate, line = float(mean - usual), lines.investigate
        if self.estimate < line:
            self.good_minutes += 1
            return
        self.good_minutes = 0
        if self._log_bets.max() < 0:
            self._budget /= 2
            self._log_bets[:] = 0.0


class Recovery:
    """All proofs of one incident, from ``start_minute`` (exclusive) on."""

    def __init__(self, watched: list[Watched], start_minute: int) -> None:
        self.proofs = [Proof(item) for item in watched]
        self._next_minute = start_minute + 1

    def as_json(self) -> dict[str, Any]:
        """Return every proof as plain values."""
        return {
            "next_minute": self._next_minute,
            "proofs": [proof.as_json() for proof in self.proofs],
        }

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> Recovery:
        """Return what `as_json` wrote down. Raises KeyError or TypeError for another make."""
        recovery = cls([], kept["next_minute"] - 1)
        recovery.proofs = [Proof.of_json(proof) for proof in kept["proofs"]]
        return recovery

    def watch_also(self, watched: list[Watched]) -> None:
        """Add signals that joined the incident after the proof began."""
        known = {(proof.watched.kind, proof.watched.row) for proof in self.proofs}
        self.proofs.extend(Proof(item) for item in watched if (item.kind, item.row) not in known)

    def drop(self, emptied: Container[str | None]) -> None:
        """Forget the proofs of tools that were switched off: nothing can be proven of them."""
        self.proofs = [
            proof
            for proof in self.proofs
            if proof.watched.kind not in (Kind.TOOL_SLOW, Kind.TOOL_ERROR)
            or proof.watched.name.partition(":")[2] not in emptied
        ]

    def advance(self, rings: Rings, window_minutes: int) -> None:
        """Feed every minute that is complete by now."""
        oldest_kept = rings.now_minute - rings.minute.shape[1] + 1
        self._next_minute = max(self._next_minute, oldest_kept)
        while self._next_minute <= rings.now_minute - LAG_MINUTES:
            for proof in self.proofs:
                proof.feed(rings, self._next_minute, window_minutes)
            self._next_minute += 1

    def is_proven(self, window_minutes: int) -> bool:
        """Return whether every signal is proven back; nothing watched proves nothing."""
        return bool(self.proofs) and all(proof.is_proven(window_minutes) for proof in self.proofs)

    def is_well(self) -> bool:
        """Return whether every signal was inside its line at the last look."""
        return all(proof.good_minutes > 0 for proof in self.proofs)

    def is_failing(self) -> bool:
        """Return whether some signal was outside its line at the last look, with enough samples."""
        return any(
            proof.good_minutes == 0 and proof.samples >= proof.watched.lines.samples
            for proof in self.proofs
        )

    def sentence(self, window_minutes: int) -> str:
        """Return how far the proof is, signal by signal."""
        parts = [
            f"{proof.watched.name} inside the line for {proof.good_minutes} of {window_minutes} "
            f"min, evidence of recovery {min(proof.evidence, 1e12):.3g} (proven at 1, "
            f"{proof.samples} samples)"
            for proof in self.proofs
        ]
        return "; ".join(parts) if parts else "no signal to watch"
