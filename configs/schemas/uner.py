"""The three types of Universal NER, as a schema file: read with `ast`, never run."""

from kcx_jax.schema import Entity


class Person(Entity):
    """A human being, by name. Examples: Ada Lovelace, 李白"""


class Organization(Entity):
    """A company, club, party, school or other group with a name. Examples: Red Cross, 联合国"""


class Location(Entity):
    """A place: country, city, river, mountain. Examples: Lake Garda, 长江"""
