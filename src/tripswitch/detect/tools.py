"""Tools: what calls ran, by name, so that a slow or failing tool is named and not the route.

How long a failed run took says nothing of the tool's speed, so slowness is of runs that worked. The
names are the sender's to choose: a scope has room for so many, the runs of others are counted.
"""

from __future__ import annotations

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.counted import Counted
from tripswitch.detect.leaves import NOWHERE, Leaf, Leaves
from tripswitch.detect.named import Named, named_rows
from tripswitch.detect.signals import tool_measures
from tripswitch.model.calls import Calls, ToolExecution


def take_tools(
    leaves: Leaves, calls: Calls, counted: Counted, kind: slice, detect: Detect
) -> tuple[Named, int]:
    """Return errors and slowness of the tools that calls ran, and how many values have no room.

    Notes the latencies of runs that worked in `Scopes.tool_latencies` on the way.
    """
    if not any(calls.tools):
        return Named.nothing(), 0
    runs = [
        (position, tool)
        for position, row in enumerate(counted.rows[kind].tolist(), start=kind.start)
        for tool in calls.tools[row]
    ]
    if not runs:
        return Named.nothing(), 0
    index = np.array([position for position, _ in runs], dtype=np.int64)
    codes = counted.codes[index]
    known: dict[str, int] = {}
    numbers = np.array([known.setdefault(tool.name, len(known)) for _, tool in runs])
    errors, slowness = zip(*map(tool_measures, known), strict=True)
    rows, refused = named_rows(leaves, counted, codes, errors, numbers, detect)
    failed = np.array([float(tool.error) for _, tool in runs])
    slow = []
    for number, (_, tool) in enumerate(runs):
        if tool.error or rows[number, 0] == NOWHERE or not tool.latency >= 0:
            continue
        leaf = counted.leaves[codes[number]]
        assert leaf is not None
        is_slow = _note(leaves, leaf, tool)
        if is_slow is not None:
            slow.append((number, float(is_slow)))
    if not slow:
        return Named(rows, index, failed), refused
    at = np.array([number for number, _ in slow], dtype=np.int64)
    slow_rows, also_refused = named_rows(leaves, counted, codes[at], slowness, numbers[at], detect)
    named = Named(
        np.concatenate([rows, slow_rows]),
        np.concatenate([index, index[at]]),
        np.concatenate([failed, np.array([value for _, value in slow])]),
    )
    return named, refused + also_refused


def _note(leaves: Leaves, leaf: Leaf, tool: ToolExecution) -> bool | None:
    """Note how long a run took in the scopes with room for its tool; return whether it is slow.

    None while the family has no yardstick for this tool.
    """
    errors, slowness = tool_measures(tool.name)
    where = [
        leaves.scopes.tool_row(record, tool.name)
        for record in leaf.records
        if errors in record.series
    ]
    latencies = leaves.scopes.tool_latencies
    latencies.add(np.array(where, dtype=np.int64), np.full(len(where), tool.latency))
    yardstick = leaf.family.yardsticks.get(slowness)
    return None if yardstick is None else tool.latency > yardstick.limit
