"""Speed of the folding ruler: seconds of motion for each second of computing, on one core.

Prints a table: sections down, the hand across, dt = 1 ms, the ruler always 1 m long.
"""

import time

from sbt_utils.mechanics.pulls import quick_and_jerky, slow_and_steady
from sbt_utils.mechanics.ruler import FoldingRuler

SECTIONS = (5, 10, 20, 40)
REPEATS = 3


def real_time_factor(ruler, hand):
    ruler.pull(hand)  # compile, fill caches
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        motion = ruler.pull(hand)
        best = min(best, time.perf_counter() - start)
    return (motion.times[-1] - motion.times[0]) / best


def main():
    print(f"{'sections':>8} {'slow and steady':>16} {'quick and jerky':>16}")
    for sections in SECTIONS:
        ruler = FoldingRuler(sections, section_length=1 / sections)
        hands = slow_and_steady(ruler), quick_and_jerky(ruler, amplitude=0.03 / sections)
        slow, quick = (real_time_factor(ruler, hand) for hand in hands)
        print(f"{sections:8d} {slow:16.0f} {quick:16.0f}")


if __name__ == "__main__":
    main()
