"""What every reader is told besides the path, and how a corpus's labels become class and role names."""

import re
from dataclasses import dataclass, field
from keyword import iskeyword

from kcx_jax.errors import KcxError, UsageError
from kcx_jax.schema.concepts import Kind
from kcx_jax.schema.labels import role_name_of, transliterated_name, transliterated_role
from kcx_jax.schema.ontology import class_for, role_for

# Written without spaces between words: tokens of these languages are joined without one.
UNSPACED_LANGUAGES = frozenset({"zh", "yue", "wuu", "ja", "th", "lo", "km", "my"})


@dataclass(frozen=True)
class Options:
    """`language`: BCP 47 tag of the corpus; `joiner`: what stands between tokens whose text is not given.

    `columns`: which columns hold tags, counted from 1, one a layer; none: the reader's own.
    `offset_unit`: what the file's offsets count, a name of `OFFSET_UNITS`; None: the reader's own.
    """

    language: str | None = None
    joiner: str | None = None
    columns: tuple[int, ...] = ()
    offset_unit: str | None = None
    labels: "LabelMap" = field(default_factory=lambda: LabelMap(None))
    roles: "RoleMap" = field(default_factory=lambda: RoleMap())

    @property
    def tag(self) -> str:
        """The language tag of the records, "und" where nobody said."""
        return self.language or "und"

    @property
    def between_tokens(self) -> str:
        """The joiner, or the custom of the language."""
        if self.joiner is not None:
            return self.joiner
        primary = self.tag.replace("_", "-").split("-")[0].lower()
        return "" if primary in UNSPACED_LANGUAGES else " "


class LabelMap:
    """Corpus label -> class name, by an inventory of the ontology or, without one, by the label itself.

    `auto`: a label that has no name in either way gets one from its own sounds (`transliterated_name`).
    Two labels that meet in one name are refused all the same: what a label is called in one file must not hang
    on which other labels this file happens to have.
    """

    def __init__(self, inventory: str | None, auto: bool = False) -> None:
        self.inventory, self.auto = inventory, auto
        self._names: dict[tuple[str, str], str] = {}
        self._labels: dict[str, str] = {}  # the way back, without an inventory: no two labels may meet

    def __call__(self, label: str, where: str, kind: Kind = "entity") -> str:
        """The class name of `label`; `KcxError` opening with `where` if there is none."""
        key = (kind, label)
        if key not in self._names:
            try:
                self._names[key] = self._name(label, kind)
            except KcxError as error:
                raise KcxError(f"{where}: {error}") from error
        return self._names[key]

    def _name(self, label: str, kind: Kind) -> str:
        if self.inventory is None:
            return self._spelled(label)
        try:
            return class_for(self.inventory, label, kind)
        except KcxError as error:
            if isinstance(error, UsageError) or not self.auto:
                raise
            return self._spelled(label)

    def _spelled(self, label: str) -> str:
        name = re.sub(r"[-./: ]", "_", label)
        if not (name.isascii() and name.isidentifier()) or iskeyword(name):
            name = transliterated_name(label) if self.auto else ""
        if not name:
            raise KcxError(
                f"the label {label!r} is no class name; name an inventory that maps it to one, or have it made "
                "automatically"
            )
        if self._labels.setdefault(name, label) != label:
            raise KcxError(
                f"the labels {self._labels[name]!r} and {label!r} would both become {name}; tell them apart in an "
                "inventory of your own (--inventory my.yaml)"
            )
        return name


class RoleMap:
    """Corpus role -> role name, by an inventory that lists the event's roles, else by the role's own spelling."""

    def __init__(self, inventory: str | None = None, auto: bool = False) -> None:
        self.inventory, self.auto = inventory, auto
        self._names: dict[tuple[str | None, str], str] = {}
        self._roles: dict[str, str] = {}  # the way back, by spelling: no two roles may meet

    def __call__(self, role: str, where: str, event: str | None = None) -> str:
        """The name of `role` of the event label `event`; `KcxError` opening with `where` if there is none."""
        key = (event, role)
        if key not in self._names:
            try:
                self._names[key] = self._name(role, event)
            except KcxError as error:
                raise KcxError(f"{where}: {error}") from error
        return self._names[key]

    def _name(self, role: str, event: str | None) -> str:
        try:
            listed = role_for(self.inventory, event, role) if self.inventory and event else None
        except KcxError:
            if not self.auto:
                raise
            listed = None
        return listed or self._spelled(role)

    def _spelled(self, role: str) -> str:
        name = transliterated_role(role) if self.auto else role_name_of(role)
        if name is None:
            raise KcxError(f"the role {role!r} is no role name (ASCII letters, digits and _)")
        if self._roles.setdefault(name, role) != role:
            raise KcxError(
                f"the roles {self._roles[name]!r} and {role!r} would both become {name}; tell them apart in an "
                "inventory of your own (--inventory my.yaml)"
            )
        return name
