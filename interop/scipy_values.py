"""Exact intervals and tails as scipy has them, one JSON array a line on the standard output.

Runs where scipy is, in a process of its own: `python interop/scipy_values.py STEP` takes each
STEP-th count from 21 to 200, and all below. `interop/test_scipy.py` compares; with STEP 20 the
output is what `tests/vectors/statistics/` keeps. The exact interval is that of quantiles of the
beta distribution, as in `binomtest(…).proportion_ci(method="exact")`. Limits of the funnel are
quantiles of the Poisson distribution; a sum of binomials is the convolution of theirs.
"""

import json
import sys

from numpy import convolve
from scipy.stats import beta, binom, poisson

MOST = 200
LEVELS = (0.95, 0.998)
SHARES = (1 / 3, 1.0, 3.0)
"""Treated people for each other one, in three weeks."""
RATIOS = (0.2, 0.7, 1.0, 2.5)
EXPECTED = (0.25, 0.5, 1.0, 1.23, 3.8, 4.8, 13.9, 30.0, 100.0, 200.0)


def main() -> None:
    """Print all values."""
    step = int(sys.argv[1])
    counts = [*range(21), *range(20 + step, MOST + 1, step)]
    pairs = [(now, before) for now in counts for before in counts if now + before]
    nows, befores = [now for now, _ in pairs], [before for _, before in pairs]
    lows = beta.ppf(0.025, nows, [before + 1 for before in befores])
    highs = beta.ppf(0.975, [now + 1 for now in nows], befores)
    chances = binom.cdf(list(map(min, pairs)), list(map(sum, pairs)), 0.5)
    for (now, before), low, high, chance in zip(pairs, lows, highs, chances, strict=True):
        ends = (float(low) if now else 0.0, float(high) if before else 1.0)
        _print("pair", now, before, *ends, float(chance))
    for expected in EXPECTED:
        for count in counts:
            _print("poisson", count, expected, float(poisson.sf(count - 1, expected)))
        for level in LEVELS:
            tails = (1 - level) / 2, 1 - (1 - level) / 2
            _print("limits", expected, level, *(int(poisson.ppf(one, expected)) for one in tails))
    for total in counts:
        _print_sums(total)


def _print_sums(total: int) -> None:
    """The chances that at most so many cases of three weeks are of treated villages, at each
    ratio; the weeks have `total`, half of it, and 7 cases.
    """
    cases = (total, total // 2, 7)
    for ratio in RATIOS:
        shares = [ratio * odds / (1 + ratio * odds) for odds in SHARES]
        known = [1.0]
        for count, share in zip(cases, shares, strict=True):
            known = convolve(known, binom.pmf(range(count + 1), count, share))
        for part in (0.1, 0.5, 0.8):
            most = int(sum(cases) * part)
            _print("sum", list(cases), ratio, most, float(sum(known[: most + 1])))


def _print(*values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")


if __name__ == "__main__":
    main()
