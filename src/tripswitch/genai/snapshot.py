"""Understanding in a snapshot: what was learnt, what was counted, which calls can be found.

Traces that are not settled yet are not in it: they are seconds old, and a restart loses seconds.
"""

from __future__ import annotations

from tripswitch.genai.traces import TraceBook
from tripswitch.model.snapshot import Snapshot


def save_understanding(snapshot: Snapshot, book: TraceBook) -> None:
    """Put what was learnt of scores, first sights, counted and past calls into ``snapshot``."""
    snapshot.facts["score_ranges"] = book.appraiser.ranges.state()
    snapshot.facts["evaluator_versions"] = {
        name: list(versions) for name, versions in book.appraiser.versions.items()
    }
    book.handover.novelties.save(snapshot)
    book.handover.seen.save(snapshot)
    book.index.save(snapshot)


def restore_understanding(snapshot: Snapshot, book: TraceBook) -> None:
    """Take from ``snapshot`` what `save_understanding` put there."""
    book.appraiser.ranges.restore(snapshot.facts["score_ranges"])
    book.appraiser.versions.update(snapshot.facts.get("evaluator_versions", {}))
    book.handover.novelties.restore(snapshot)
    book.handover.seen.restore(snapshot)
    book.index.restore(snapshot)
