"""What the pages cost: the Now page at 2,000 scopes and 50 open incidents, and who watches it.

In one process, in processor time, as ratios of one run: a page at 2,000 scopes against one at 20,
a page that others have asked for in the same tick, one that has not changed since, and all of them
against the tick that the judge does anyway. Then a real tripswitch is sent the same requests in
turns, with nobody watching and with browsers that listen and fetch, and the wire's processor time
a span and the client's latencies are compared.

    python -m bench.web [--json] [--browsers N] [--rounds N] [--seconds S]
"""

from __future__ import annotations

import argparse
import json
import sys
from tempfile import TemporaryDirectory

from bench.web.pages import page_costs
from bench.web.watched import watched_costs


def main() -> None:
    """Measure both; print lines, or one JSON object."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.web", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--browsers", type=int, default=10, help="that watch")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    asked = parser.parse_args()
    with TemporaryDirectory() as few, TemporaryDirectory() as many, TemporaryDirectory() as place:
        found = {
            "pages": page_costs(few, many),
            "watched": watched_costs(place, asked.browsers, asked.rounds, asked.seconds),
        }
    if asked.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return
    for title, numbers in found.items():
        sys.stdout.write(f"{title}\n")
        for name, value in numbers.items():
            sys.stdout.write(f"  {name:<44} {value:,.4g}\n")


if __name__ == "__main__":
    main()
