"""Plays a story with many seeds: ``python -m tripswitch.drive.demo.rehearse --seeds 10``.

Prints one line a seed and exits with 1 when any claim of any of them did not hold.
"""

from __future__ import annotations

import argparse
import sys

from tripswitch.drive.demo import story
from tripswitch.drive.demo.cast import Cast
from tripswitch.drive.demo.observed import Claim, claims
from tripswitch.drive.demo.play import DEFAULT_SPEED, Director


def rehearse(told: story.Story, seed: int, speed: float) -> list[Claim]:
    """Play ``told`` once and return the claims that did not hold."""
    with Cast(told, seed) as cast:
        seen = Director(cast, told, seed, lambda _seen: None, speed=speed).play()
    return [claim for claim in claims(seen) if not claim.held]


def main() -> int:
    """Play seed after seed; return the exit code."""
    parser = argparse.ArgumentParser(description="Play the demo's story with many seeds.")
    parser.add_argument("--story", choices=sorted(story.STORIES), default="healthy")
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--speed", type=float, default=DEFAULT_SPEED, help="story seconds a second")
    options = parser.parse_args()
    told = story.STORIES[options.story]
    unheld = 0
    for seed in range(options.first, options.first + options.seeds):
        failed = rehearse(told, seed, options.speed)
        unheld += len(failed)
        said = "; ".join(f"{claim.claim}: NO, {claim.detail}" for claim in failed)
        sys.stdout.write(f"{told.name} seed {seed}: {said or 'every claim held'}\n")
        sys.stdout.flush()
    return 1 if unheld else 0


if __name__ == "__main__":
    raise SystemExit(main())
