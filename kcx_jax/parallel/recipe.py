"""A recipe: several corpora, each into its language, one run a corpus, with the same models."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from kcx_jax.corpora import read_records
from kcx_jax.errors import UsageError
from kcx_jax.files import atomic_write
from kcx_jax.llm import ChatClient, Ledger, Spent
from kcx_jax.parallel.runs.build import Progress, build
from kcx_jax.parallel.runs.presets import preset_named
from kcx_jax.parallel.runs.run import LEDGER, Run
from kcx_jax.parallel.runs.settings import Settings as Translation
from kcx_jax.parallel.runs.shards import in_share
from kcx_jax.parallel.translation.prompts import VARIANTS
from kcx_jax.settings import Settings, checked, read_values

# The recipe that a folder was made by, beside the runs.
RECIPE = "recipe.yaml"


class TranslationSettings(Settings):
    """How to translate; what a corpus leaves open is as its recipe says. ``glossary`` is a file in the folder of
    corpora."""

    variant: Annotated[str | None, Field(pattern=f"^({'|'.join(VARIANTS)})$")] = None
    glossary: Annotated[str | None, Field(min_length=1)] = None
    language_id: bool | None = None

    def given(self) -> dict[str, Any]:
        """What is not left open."""
        return {
            name: value
            for name in TranslationSettings.model_fields
            if (value := getattr(self, name)) is not None
        }


class CorpusSettings(TranslationSettings):
    """One corpus: its file in the folder of corpora, and the two languages. ``name`` is its run's folder."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    path: Annotated[str, Field(min_length=1)]
    reader: str = "auto"
    source: Annotated[str, Field(min_length=1)]
    target: Annotated[str, Field(min_length=1)]


class Recipe(TranslationSettings):
    """A whole recipe: `kcx parallel recipe CONFIG.yaml`."""

    preset: str = "paper"  # the models: kcx_jax.parallel.runs.presets
    directions: Literal["forward", "both"] = "forward"  # noted for stage 1 of training; a build makes forward
    corpora: Annotated[tuple[CorpusSettings, ...], Field(min_length=1)]

    @field_validator("preset")
    @classmethod
    def _known(cls, preset: str) -> str:
        try:
            preset_named(preset)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return preset

    @model_validator(mode="after")
    def _apart(self) -> "Recipe":
        names = [corpus.name for corpus in self.corpora]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"corpora with the same name: {', '.join(twice)}")
        return self

    def with_translation(self, **given: Any) -> "Recipe":
        """The recipe with other settings of `TranslationSettings` for all corpora."""
        corpora = tuple(each.model_copy(update=dict.fromkeys(given)) for each in self.corpora)
        if "glossary" in given:  # a file of the caller's, wherever the corpora are
            given["glossary"] = str(Path(given["glossary"]).absolute())
        values = self.model_dump() | given | {"corpora": [each.model_dump() for each in corpora]}
        return checked(Recipe, values, "the command line")

    def translation_of(self, corpus: CorpusSettings, corpora: Path) -> Translation:
        """How a corpus is translated. Raises as `read_glossary`."""
        given = self.given() | corpus.given()
        if "glossary" in given:
            given["glossary"] = corpora / given["glossary"]
        return Translation.of(**given)


def load_recipe(path: str | Path) -> Recipe:
    """The recipe in a YAML file. Raises `UsageError` naming the file and every wrong key."""
    return checked(Recipe, read_values(path), str(path))


def prepare(recipe: Recipe, corpora: Path, out: Path) -> None:
    """Note the recipe in the folder `out`. Raises `UsageError` for corpora that are not in the folder `corpora`, and
    for glossaries that cannot be read."""
    missing = [str(corpora / each.path) for each in recipe.corpora if not (corpora / each.path).is_file()]
    if missing:
        raise UsageError(
            f"not there: {', '.join(missing)}. `kcx data list` says where corpora are to be had; "
            "links to files elsewhere will do."
        )
    for each in recipe.corpora:
        recipe.translation_of(each, corpora)
    with atomic_write(out / RECIPE, overwrite=True) as handle:
        yaml.safe_dump(recipe.model_dump(mode="json"), handle, sort_keys=False)


def build_corpus(
    recipe: Recipe,
    corpus: CorpusSettings,
    corpora: Path,
    out: Path,
    client: ChatClient,
    fallback: ChatClient | None = None,
    progress: Progress | None = None,
    *,
    share: float = 1.0,
    budget: int | None = None,
) -> Run:
    """Build one corpus of `recipe`, found in the folder `corpora`, as the run ``OUT/NAME``.

    A `share` below 1 takes so many of its records; a larger one goes on from there. `budget` caps what all
    runs of the recipe together may cost, in billionths of a dollar. Raises what `build` does.
    """
    records = read_records(corpora / corpus.path, reader=corpus.reader, language=corpus.source)
    others = (out / each.name for each in recipe.corpora if each is not corpus)
    return build(
        in_share(records, share),
        corpus.source,
        corpus.target,
        client,
        out / corpus.name,
        fallback,
        progress,
        settings=recipe.translation_of(corpus, corpora),
        budget=None if budget is None else max(0, budget - _spent(others)),
    )


def _spent(folders: Iterable[Path]) -> int:
    """What runs cost so far, at the most."""
    total = Spent()
    for folder in folders:
        if (folder / LEDGER).exists():
            with Ledger(folder / LEDGER, readonly=True) as ledger:
                total += ledger.spent()
    return total.known + total.possible
