"""``kcx parallel revalidate``."""

import sys
from pathlib import Path

from kcx_jax.cli.parallel import options


def command(run: options.RunFolder, prices: options.PriceFile = None) -> None:
    """Judge every reply of a run anew by the rules of this version, and bill it by other prices; sends nothing.

    Example: kcx parallel revalidate runs/en-zh --prices prices.yaml
    """
    from kcx_jax.cli.parallel.tables import print_calls, print_statistics
    from kcx_jax.llm import load_prices
    from kcx_jax.parallel import revalidate

    before = _resolved(run)
    with revalidate(run, load_prices(prices) if prices else None) as opened:
        statistics = opened.statistics()
        print_statistics(statistics)
        print_calls(opened.ledger)
    print(f"resolved: {before} before, {statistics.resolved} now", file=sys.stderr)


def _resolved(run: Path) -> int:
    from kcx_jax.parallel import Run

    with Run.open(run) as opened:
        return opened.statistics().resolved
