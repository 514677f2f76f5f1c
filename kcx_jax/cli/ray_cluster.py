"""The way onto a Ray cluster that is there, for commands with --ray."""

import logging
from typing import Any

from kcx_jax.errors import KcxError


def join_cluster(without: str) -> Any:
    """The module ``ray``, connected. Raises `KcxError` where there is no cluster; `without` says what to do then.

    The workers' lines of progress come to this process's own output.
    """
    import ray

    try:
        ray.init(address="auto", logging_level=logging.ERROR)
    except ConnectionError as error:
        raise KcxError(
            f"no Ray cluster was found ({str(error).splitlines()[0]}). Start one with `ray start --head`, name one in "
            f"RAY_ADDRESS, or {without}"
        ) from None
    return ray
