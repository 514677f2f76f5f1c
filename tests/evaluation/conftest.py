"""People who know each other."""

SCHEMA = """
class Person(Entity):
    \"\"\"A human being.\"\"\"
class Knows(Relation):
    \"\"\"Who knows whom.\"\"\"
    head: Person
    tail: Person
"""
