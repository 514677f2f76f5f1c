"""The demo's schema: ten entity types, eight relations and six events. A schema file like any user's.

Each class is one concept, and its docstring is the description that the model reads.
"""

from kcx_jax.schema import Entity, Event, Relation


class Person(Entity):
    """A human being, by name."""


class City(Entity):
    """A city or town."""


class Country(Entity):
    """A state with a government of its own."""


class River(Entity):
    """A river."""


class Company(Entity):
    """A business that makes or sells something."""


class University(Entity):
    """A university, college or other place of research and study."""


class Product(Entity):
    """A device that a company makes, by its brand name."""


class Disease(Entity):
    """An illness."""


class Award(Entity):
    """A prize given for something done well."""


class Date(Entity):
    """A day, a month or a year of the calendar."""


class BirthPlace(Relation):
    """Where a person was born."""

    head: Person
    tail: City | Country


class WorksFor(Relation):
    """Who employs a person."""

    head: Person
    tail: Company | University


class StudiedAt(Relation):
    """Where a person studied or studies."""

    head: Person
    tail: University


class MarriedTo(Relation):
    """Husband or wife, in the order of the text."""

    head: Person
    tail: Person


class FounderOf(Relation):
    """What a person founded."""

    head: Person
    tail: Company | University


class LocatedIn(Relation):
    """The place in which something lies or has its seat."""

    head: City | River | Company | University
    tail: City | Country


class CapitalOf(Relation):
    """The country of which a city is the capital."""

    head: City
    tail: Country


class ProducedBy(Relation):
    """Who makes a product."""

    head: Product
    tail: Company


class Found(Event):
    """An organisation begins to exist."""

    founder: list[Person]
    organization: Company | University
    place: City
    time: Date | str


class Attack(Event):
    """Violence against people or places."""

    attacker: list[Person | Country]
    target: list[Person | City | Country]
    weapon: str
    place: City | Country
    time: Date | str


class Acquire(Event):
    """A company buys another company or a product."""

    buyer: Company
    acquired: list[Company | Product]
    price: str
    time: Date | str


class Honor(Event):
    """Someone or something gets an award."""

    recipient: list[Person | Company | Product]
    award: Award
    giver: Company | University
    time: Date | str


class Meet(Event):
    """People come together to talk."""

    participant: list[Person]
    place: City | Country
    time: Date | str


class Outbreak(Event):
    """A disease begins to spread."""

    disease: Disease
    place: list[City | Country]
    time: Date | str
