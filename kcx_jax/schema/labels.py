"""Labels as people write them ("birth place", "PER", 人物) -> ASCII class and role names."""

import hashlib
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


def _slug(label: str) -> str:
    return f"Label_{hashlib.sha256(label.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def role_name_of(label: str) -> str | None:
    """A corpus's role as a role name: `Main.Sub`, a role within a role, is `Main__Sub`; other marks become "_".

    None where that is no ASCII identifier. Python's keywords are good role names (code spells them with an
    underscore behind).
    """
    name = re.sub(r"[-/: ]", "_", label.replace(".", "__"))
    return name if name.isascii() and name.isidentifier() else None
