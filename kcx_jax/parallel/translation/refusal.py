"""Why a reply is not taken."""


class Refusal(Exception):
    """A reply breaks the rule `kind`; `detail` tells the model what to mend."""

    def __init__(self, kind: str, detail: str):
        super().__init__(detail)
        self.kind, self.detail = kind, detail
