"""How a run translates, beside its languages and models: what the results depend on, kept with the run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kcx_jax.parallel.translation import prompts
from kcx_jax.parallel.translation.glossary import Glossary, read_glossary, with_sources_in_nfc
from kcx_jax.parallel.translation.language_id import load_identifier


@dataclass(frozen=True)
class Settings:
    """``variant``: how stage 1 asks (of `prompts.VARIANTS`). ``glossary``: settled translations, their source surfaces
    in any normal form. ``language_id``: whether the language of each translation is checked (extra langid). Raises
    `UsageError` for an unknown variant."""

    variant: str = prompts.JOINT
    glossary: Glossary = field(default_factory=dict)
    language_id: bool = False

    def __post_init__(self) -> None:
        prompts.check_variant(self.variant)
        object.__setattr__(self, "glossary", with_sources_in_nfc(self.glossary))

    @classmethod
    def of(
        cls, variant: str = prompts.JOINT, glossary: str | Path | None = None, language_id: bool = False
    ) -> "Settings":
        """As options and recipes name them: the glossary by its file. Raises as `read_glossary`."""
        return cls(variant, {} if glossary is None else read_glossary(glossary), language_id)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for the configuration of a run."""
        return {"variant": self.variant, "glossary": self.glossary, "language_id": self.language_id}

    def options(self) -> dict[str, Any]:
        """What `pipeline.translate` takes. Raises as `load_identifier` where the extra is absent."""
        identify = load_identifier() if self.language_id else None
        return {"variant": self.variant, "glossary": self.glossary, "identify": identify}
