"""Money for people. It is counted in billionths of a dollar, as whole numbers."""

from decimal import Decimal

NANO = 10**9


def dollars(nano: int) -> str:
    """For people: "$12.3457"; a tenth of a cent and below keeps its digits."""
    amount = Decimal(nano) / NANO
    return f"${amount:.4f}" if nano >= NANO // 1000 or nano == 0 else f"${amount:.9f}".rstrip("0")
