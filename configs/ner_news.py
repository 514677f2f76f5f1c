"""The three types that news corpora share."""

from kcx_jax.schema import Entity


class Person(Entity):
    """A human being, by name. Examples: Ada Lovelace, 李白"""


class Location(Entity):
    """A place: country, city, river, building. Examples: London, 长江"""


class Organization(Entity):
    """A company, institution, team or party. Examples: United Nations, 北京大学"""
