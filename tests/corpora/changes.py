"""JSON changed at any place, for the tests of damage to corpora."""

import copy

from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 99) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def changed(row, value, *keys):
    """A copy of `row` with `value` under the path `keys`; with the key taken away if `value` is ...."""
    row = copy.deepcopy(row)
    node = row
    for key in keys[:-1]:
        node = node[key]
    if value is ...:
        del node[keys[-1]]
    else:
        node[keys[-1]] = value
    return row


def paths(node, path=()):
    """The path of every value in `node`, that of the whole included."""
    yield path
    for key, child in (
        node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    ):
        yield from paths(child, (*path, key))
