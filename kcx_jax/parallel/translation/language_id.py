"""Telling the language of a sentence, by the optional package py3langid."""

from kcx_jax.errors import UsageError
from kcx_jax.parallel.translation.invariants import Identify


def load_identifier() -> Identify:
    """Load the identifier (a second, 140 languages). Raises `UsageError` when the package is not installed."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise UsageError(
            "checking the language of translations needs py3langid. Install it: pip install 'kcx-jax[langid]'"
        ) from error
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return lambda text: identifier.classify(text)
