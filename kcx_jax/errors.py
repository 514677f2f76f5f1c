"""Errors a person can act on. The command line prints the message alone and exits with ``exit_code``.

A message says what was wrong, where (file, line, key, tensor) and what to do. Programming errors stay
ordinary exceptions with a traceback; a user's mistake never does.
"""


class KcxError(Exception):
    """The job failed for a reason the user can act on (exit code 1)."""

    exit_code = 1


class UsageError(KcxError):
    """The call itself is wrong: an unknown option, config key, name or schema (exit code 2)."""

    exit_code = 2


class BudgetExceeded(KcxError):
    """Stopped by a budget or a quota; the work so far is kept and can be resumed (exit code 3)."""

    exit_code = 3


class RegressionFound(KcxError):
    """Something was measured and is worse than what it was held against (exit code 4)."""

    exit_code = 4
