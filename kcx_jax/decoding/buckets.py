"""Few sizes for arrays, because a program is compiled for each."""


def bucket(number: int, smallest: int = 1) -> int:
    """The smallest power of two that is at least `number` and `smallest`."""
    return 1 << (max(number, smallest) - 1).bit_length()
