"""Translations that are settled beforehand: by target language, the wording of a span in the source and its own."""

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kcx_jax.errors import UsageError
from kcx_jax.parallel.translation.spans import SourceSpan
from kcx_jax.schema.data_files import read_json, read_yaml

Glossary = Mapping[str, Mapping[str, str]]
"""Target language -> surface of a source span, in NFC -> surface of its translation."""


def read_glossary(path: str | Path) -> dict[str, dict[str, str]]:
    """The glossary of a file: JSON or YAML ``{"zh": {"London": "伦敦"}}``, or TSV ``zh<TAB>London<TAB>伦敦``.

    Raises `UsageError` with file and line or key for a file that is not so, and for a source surface that stands
    twice in one language.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the glossary {path}: {error}") from error
    if path.suffix == ".tsv":
        return _tsv(text, path)
    if path.suffix not in (".json", ".yaml", ".yml"):
        raise UsageError(f"{path}: a glossary is a .json, .yaml or .tsv file")
    value = (read_json if path.suffix == ".json" else read_yaml)(text, str(path))
    glossary: dict[str, dict[str, str]] = {}
    for language, entries in _items(value, str(path)):
        for source, translation in _items(entries, f"{path}: {language}"):
            _add(glossary, language, source, translation, f"{path}: {language}: {source[:60]!r}")
    return glossary


def pinned(glossary: Glossary, target: str, spans: Sequence[SourceSpan]) -> dict[str, str]:
    """The settled translations by span id."""
    wordings = glossary.get(target)
    if not wordings:
        return {}
    surfaces = ((span.id, _nfc(span.text)) for span in spans)
    return {name: wordings[surface] for name, surface in surfaces if surface in wordings}


def with_sources_in_nfc(glossary: Glossary) -> Glossary:
    """The glossary as `pinned` takes it, of one whose source surfaces have any normal form."""
    return {
        target: {_nfc(source): wording for source, wording in entries.items()}
        for target, entries in glossary.items()
    }


def same_wording(one: str, other: str) -> bool:
    """Whether two surfaces are the same but for their normal form."""
    return _nfc(one) == _nfc(other)


def _tsv(text: str, path: Path) -> dict[str, dict[str, str]]:
    glossary: dict[str, dict[str, str]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            columns = line.removesuffix("\r").split("\t")
            if len(columns) != 3:
                raise UsageError(
                    f"{path}:{number}: has {len(columns)} columns; needed are language, source and translation, "
                    "with tabs between them"
                )
            language, source, wording = columns
            _add(glossary, language, source, wording, f"{path}:{number}")
    return glossary


def _items(value: Any, where: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: must be a mapping: a target language to source surfaces to translations")
    return list(value.items())


def _add(glossary: dict[str, dict[str, str]], language: str, source: str, wording: Any, where: str) -> None:
    entries = glossary.setdefault(language, {})
    for text in (language, source, wording):
        if not isinstance(text, str) or not text.strip() or text != text.strip() or _broken(text):
            raise UsageError(f"{where}: {text!r} must be a text of one line without space around it")
    source = _nfc(source)
    if source in entries:
        raise UsageError(f"{where}: {source!r} has a translation into {language!r} already")
    entries[source] = wording


def _broken(text: str) -> bool:
    return any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
