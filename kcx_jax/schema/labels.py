"""Labels as people write them ("birth place", "PER", 人物) -> ASCII class and role names."""

import re
import unicodedata

from kcx_jax.schema.concepts import RESERVED_NAMES


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


def role_name_of(label: str) -> str | None:
    """A corpus's role as a role name: `Main.Sub`, a role within a role, is `Main__Sub`; other marks become "_".

    None where that is no ASCII identifier. Python's keywords are good role names (code spells them with an
    underscore behind).
    """
    name = re.sub(r"[-/: ]", "_", label.replace(".", "__"))
    return name if name.isascii() and name.isidentifier() else None
