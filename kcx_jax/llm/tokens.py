"""How many tokens a text will be, without its tokenizer: learnt from what the endpoint counts."""

# Between English (about 4.5) and Chinese (about 3): before the first answer, rather too many tokens than too few.
BYTES_PER_TOKEN = 3.0
# The weight of each answer against all before it.
NEWEST = 0.05


class TokenMeter:
    """Bytes of UTF-8 a token, followed by a moving average."""

    def __init__(self) -> None:
        self._ratio = BYTES_PER_TOKEN

    def expected(self, size: int) -> float:
        """Tokens that `size` bytes will be, about."""
        return size / self._ratio

    def learn(self, size: int, tokens: int) -> None:
        """An endpoint counted `tokens` for `size` bytes."""
        if size and tokens:
            self._ratio += NEWEST * (size / tokens - self._ratio)
