"""Labels as people write them ("birth place", "PER", 人物) -> ASCII class and role names."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable

from kcx_jax.schema.concepts import RESERVED_NAMES
from kcx_jax.schema.docstrings import one_line

_LONGEST_RUN = 6  # dots and underscores side by side: the name has at most 126 underscores for them


def class_name_of(label: str) -> str | None:
    """A label's words in PascalCase, accents taken off; None when some letter of it has no ASCII form.

    "birth place" -> BirthPlace, "población" -> Poblacion, "PER" -> PER. A name that Python or the base
    classes hold gets an underscore behind it ("event" -> Event_), one that starts with a digit an
    underscore in front.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", label) if not unicodedata.combining(c))
    if any(c.isalnum() and not c.isascii() for c in plain):
        return None
    name = "".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", plain))
    if not name:
        return None
    if name[0].isdigit():
        name = f"_{name}"
    return f"{name}_" if name in RESERVED_NAMES else name


def transliterated_name(label: str) -> str:
    """A class name for a label in any script: its sounds in Latin letters ("人物" -> RenWu), or else a stable slug.

    The same label always gets the same name; two labels may meet in one.
    """
    from anyascii import anyascii

    return class_name_of(label) or class_name_of(anyascii(label)) or _slug(label)


def transliterated_role(label: str) -> str:
    """A role name for a label in any script, as `transliterated_name`: "裁员方" -> cai_yuan_fang."""
    from anyascii import anyascii

    words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", anyascii(label))
    name = "_".join(word.lower() for word in words)
    return role_name_of(label) or (name if name.isidentifier() else _slug(label).lower())


def distinct_names(
    labels: Iterable[str], name_of: Callable[[str], str], taken: Iterable[str] = ()
) -> dict[str, str]:
    """Label -> its name by `name_of`; labels that would meet in one, or in a `taken` one, each get a hash behind it.

    What a label is called does not depend on the order, and on other labels only where they meet.
    """
    names = {label: name_of(label) for label in labels}
    counts = Counter([*names.values(), *taken])
    return {label: name if counts[name] == 1 else f"{name}_{_digest(label)}" for label, name in names.items()}


def described(label: str, description: str) -> str:
    """A description that holds the label, for classes whose name does not say it to whoever reads the class."""
    label = one_line(label)
    if label in description:
        return description
    return f"{label}: {description}" if description else label


def _slug(label: str) -> str:
    return f"Label_{_digest(label)}"


def _digest(label: str) -> str:
    return hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def role_name_of(label: str) -> str | None:
    """A corpus's role as a role name: `Main.Sub`, a role within a role, is `Main__Sub`; other marks become "_".

    The marks are `-`, `/`, `:` and spaces. None where that is no ASCII identifier. Python's keywords are good role
    names (code spells them with an underscore behind). `role_spelling_of` is the way back: a run of dots and
    underscores is counted in base 2, "_" being the digit 1 and "." the digit 2, and becomes as many underscores. So
    `_` stays, `.` is two, a corpus's own `__` three, `_.` four; a run of more than `_LONGEST_RUN` of them is refused.
    """
    marked = re.sub(r"[-/: ]", "_", label)
    runs = re.findall(r"[._]+", marked)
    if any(len(run) > _LONGEST_RUN for run in runs):
        return None
    name = re.sub(r"[._]+", lambda run: "_" * _counted(run.group()), marked)
    return name if name.isascii() and name.isidentifier() else None


def role_spelling_of(name: str) -> str:
    """The corpus's spelling of a role, the inverse of `role_name_of`: `Treatment__Drug` -> `Treatment.Drug`.

    A mark that became "_" stays one: an inventory (`ontology.role_label_for`) has the labels letter by letter.
    """
    return re.sub("_+", lambda run: _uncounted(len(run.group())), name)


def _counted(run: str) -> int:
    count = 0
    for mark in run:
        count = 2 * count + (1 if mark == "_" else 2)
    return count


def _uncounted(count: int) -> str:
    run = ""
    while count:
        run = ("_" if count % 2 else ".") + run
        count = (count - 1) // 2
    return run
