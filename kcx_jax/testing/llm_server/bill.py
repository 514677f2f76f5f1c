"""What was served and what it costs."""

import json
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Bill:
    """``answers``: generated online, which cost tokens, whether or not they arrived; ``paid_twice``: those of a
    content that had been answered well before, by either way. ``batch_*``: at batch rates, not in the others.
    ``violations``: requests refused because they were over the limits."""

    requests: int = 0
    answers: int = 0
    paid_twice: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    batch_answers: int = 0
    batch_input_tokens: int = 0
    batch_output_tokens: int = 0
    violations: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)

    def add(self, tokens: tuple[int, int], batch: bool) -> None:
        """One answer of so many tokens of input and output."""
        if batch:
            self.batch_answers += 1
            self.batch_input_tokens += tokens[0]
            self.batch_output_tokens += tokens[1]
        else:
            self.answers += 1
            self.input_tokens += tokens[0]
            self.output_tokens += tokens[1]

    def to_json(self) -> str:
        """As one line of JSON."""
        return json.dumps(vars(self))
