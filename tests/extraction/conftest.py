"""A small story in two languages, its answers by task, and a server that gives them."""

import pytest

from kcx_jax.extraction import Extractor
from kcx_jax.schema import Entity, Event, Relation
from kcx_jax.testing.llm_server import ScriptedServer


@pytest.fixture(autouse=True, scope="package")
def nothing_kept():
    """What tests compile is not put into the home of who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", "")
        yield


class Person(Entity):
    """A human being."""


class City(Entity):
    """A city."""


class BirthPlace(Relation):
    """Where a person was born."""

    head: Person
    tail: City


class Meeting(Event):
    """People come together."""

    participant: list[Person]
    time: list[str]


CLASSES = [Person, City, BirthPlace, Meeting]
ENGLISH = 'Ada met "Bob" in May; 😀 Ada was born in London.'
CHINESE = "李白出生于碎叶城。"
NOTHING = "It rained."
ANSWERS = {
    ENGLISH: {
        "ner": '[Person("Ada"), Person("Bob"), Person("Ada"), City("London")]',
        "re": '[BirthPlace(Person("Ada"), City("London"))]',
        "ed": '[Meeting("met")]',
        "eae": '[Meeting("met", participant=[Person("Ada"), Person("Bob")], time=["May"])]',
    },
    CHINESE: {
        "ner": '[Person("李白"), City("碎叶城")]',
        "re": '[BirthPlace(Person("李白"), City("碎叶城"))]',
    },
    NOTHING: {},
}


@pytest.fixture
def served():
    """Call with answers (and faults) for an extractor that gets them from a server, and that server."""
    running = []

    def start(answers=ANSWERS, **options):
        running.append(ScriptedServer(answers, **options).start())
        return Extractor.from_openai("any", running[-1].base_url, "key"), running[-1]

    yield start
    for server in running:
        server.stop()
