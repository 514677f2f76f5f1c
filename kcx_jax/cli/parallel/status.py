"""``kcx parallel status``."""

from kcx_jax.cli.parallel import options


def command(run: options.RunFolder) -> None:
    """Show how far a run is, what it made so far, and its calls by model, stage and outcome.

    Works beside a running build and sends nothing. Example: kcx parallel status runs/en-zh
    """
    from kcx_jax.cli.parallel.tables import print_calls, print_statistics
    from kcx_jax.parallel import Run

    with Run.open(run) as opened:
        print_statistics(opened.statistics())
        print_calls(opened.ledger)
