"""The few operations of a pickle that a dict of tensors needs, on inert values: nothing is imported or called.

Opcodes as documented in Python's `pickletools`, those `torch.save` writes (protocol 2). Own code rather than
a subclass of `pickle.Unpickler`: that one sets attributes, allocates a memo of any size a file asks for and
hashes what it is given before anybody can look.
"""

import pickle
import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class PickleFault(ValueError):
    """What is wrong with a pickle, or not read from one: a phrase that goes on after 'its pickle '."""


@dataclass(frozen=True)
class Call:
    """A known function: `REDUCE` hands its arguments, whatever they are, to `make`."""

    make: Callable[[tuple], Any]


class OrderedRecord(dict):
    """What an OrderedDict becomes: a dict of its own kind, for that one may carry attributes in a pickle."""


class Machine:
    """One run over the bytes of a pickle, from `position` on; afterwards `position` is behind it.

    `known` maps "module name" to what stands for it here (a `Call`, or any inert value); `persistent` makes a
    value of a persistent id. Values are never hashed, compared or printed before their type is known, so a
    pickle costs time and memory in proportion to its length.
    """

    def __init__(
        self, content: bytes, position: int, known: Mapping[str, Any], persistent: Callable[[Any], Any]
    ) -> None:
        self.content, self.position = content, position
        self.known, self.persistent = known, persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under the marks
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value of the pickle. Raises `PickleFault` for all that is damaged or not known here."""
        while (code := self.take(1)) != pickle.STOP:
            action = _ACTIONS.get(code)
            if action is None:
                raise PickleFault(f"uses {_NAMES.get(code, repr(code))}, as no dict of tensors does")
            action(self)
        value = self.pop()
        if self.stack or self.below:
            raise PickleFault("ends before all of it is used")
        return value

    def take(self, length: int) -> bytes:
        """The next bytes."""
        taken = self.content[self.position : self.position + length]
        if len(taken) < length:
            raise PickleFault("ends early")
        self.position += length
        return taken

    def number(self, form: str) -> Any:
        """The next number, in a form of `struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def long(self) -> int:
        """The next integer of up to 255 bytes."""
        return int.from_bytes(self.take(self.number("<B")), "little", signed=True)

    def text(self) -> str:
        """The next string."""
        try:
            return self.take(self.number("<I")).decode("utf-8")
        except UnicodeDecodeError as error:
            raise PickleFault("holds a string that is not UTF-8") from error

    def line(self) -> str:
        """The next line, as names are written."""
        end = self.content.find(b"\n", self.position)
        if end < 0:
            raise PickleFault("ends early")
        line = self.take(end - self.position)
        self.position += 1
        return line.decode("utf-8", "replace")

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the value on top of the stack."""
        if not self.stack:
            raise PickleFault("takes more from its stack than there is")
        return self.stack.pop()

    def pop_many(self, count: int) -> tuple:
        """Take the last values, in the order they were put."""
        return tuple(self.pop() for _ in range(count))[::-1]

    def mark(self) -> None:
        """Remember where the stack ends."""
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        """Take all values since the last mark."""
        if not self.below:
            raise PickleFault("goes back to a mark that is not there")
        values, self.stack = self.stack, self.below.pop()
        return values

    def remember(self, number: int) -> None:
        """Keep the value on top of the stack under a number."""
        value = self.pop()
        self.push(value)
        self.memo[number] = value

    def recall(self, number: int) -> None:
        """Put a kept value on the stack."""
        if number not in self.memo:
            raise PickleFault(f"recalls a value {number} that it did not keep")
        self.push(self.memo[number])

    def find(self) -> None:
        """Put what stands for a named object on the stack; it is looked up in `known` and nowhere else."""
        name = f"{self.line()} {self.line()}"
        if name not in self.known:
            raise PickleFault(f"asks for {shown(name.replace(' ', '.'))}, which is not a part of tensors")
        self.push(self.known[name])

    def reduce(self) -> None:
        """Apply a known function."""
        function, arguments = self.pop_many(2)
        if not isinstance(function, Call) or not isinstance(arguments, tuple):
            raise PickleFault(f"calls {shown(function)} with {shown(arguments)}")
        self.push(function.make(arguments))

    def build(self) -> None:
        """Drop the attribute `_metadata` (modules' versions) of a state dict; nothing else may be set."""
        target, state = self.pop_many(2)
        plain = isinstance(state, dict) and all(key == "_metadata" for key in state)
        if not isinstance(target, OrderedRecord) or not plain:
            raise PickleFault(f"sets the state of {shown(target)}")
        self.push(target)

    def extend(self, values: list[Any] | tuple) -> None:
        """Append values to the list below them."""
        target = self.pop()
        if not isinstance(target, list):
            raise PickleFault(f"appends to {shown(target)}")
        target.extend(values)
        self.push(target)

    def set_items(self, values: list[Any] | tuple) -> None:
        """Enter keys and values, in turns, into the dict below them."""
        target = self.pop()
        if not isinstance(target, dict) or len(values) % 2:
            raise PickleFault(f"sets items of {shown(target)}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | int):  # hashing a nest of tuples can take for ever
                raise PickleFault(f"has {shown(key)} for a key")
            if key in target:
                raise PickleFault(f"has the key {shown(key)} twice")
            target[key] = value
        self.push(target)


_ACTIONS: dict[bytes, Callable[[Machine], None]] = {
    pickle.PROTO: lambda machine: machine.number("<B"),  # what later protocols add is not known below
    pickle.NONE: lambda machine: machine.push(None),
    pickle.NEWTRUE: lambda machine: machine.push(True),
    pickle.NEWFALSE: lambda machine: machine.push(False),
    pickle.BININT: lambda machine: machine.push(machine.number("<i")),
    pickle.BININT1: lambda machine: machine.push(machine.number("<B")),
    pickle.BININT2: lambda machine: machine.push(machine.number("<H")),
    pickle.LONG1: lambda machine: machine.push(machine.long()),
    pickle.BINFLOAT: lambda machine: machine.push(machine.number(">d")),
    pickle.BINUNICODE: lambda machine: machine.push(machine.text()),
    pickle.EMPTY_TUPLE: lambda machine: machine.push(()),
    pickle.EMPTY_LIST: lambda machine: machine.push([]),
    pickle.EMPTY_DICT: lambda machine: machine.push({}),
    pickle.MARK: Machine.mark,
    pickle.TUPLE: lambda machine: machine.push(tuple(machine.since_mark())),
    pickle.TUPLE1: lambda machine: machine.push(machine.pop_many(1)),
    pickle.TUPLE2: lambda machine: machine.push(machine.pop_many(2)),
    pickle.TUPLE3: lambda machine: machine.push(machine.pop_many(3)),
    pickle.APPEND: lambda machine: machine.extend(machine.pop_many(1)),
    pickle.APPENDS: lambda machine: machine.extend(machine.since_mark()),
    pickle.SETITEM: lambda machine: machine.set_items(machine.pop_many(2)),
    pickle.SETITEMS: lambda machine: machine.set_items(machine.since_mark()),
    pickle.BINPUT: lambda machine: machine.remember(machine.number("<B")),
    pickle.LONG_BINPUT: lambda machine: machine.remember(machine.number("<I")),
    pickle.BINGET: lambda machine: machine.recall(machine.number("<B")),
    pickle.LONG_BINGET: lambda machine: machine.recall(machine.number("<I")),
    pickle.GLOBAL: Machine.find,
    pickle.BINPERSID: lambda machine: machine.push(machine.persistent(machine.pop())),
    pickle.REDUCE: Machine.reduce,
    pickle.BUILD: Machine.build,
}

_NAMES = {opcode.code.encode("latin-1"): opcode.name for opcode in pickletools.opcodes}


def shown(value: Any) -> str:
    """A value in a message: short text and numbers as they are, of anything else the kind alone."""
    if isinstance(value, str):
        return ascii(value[:100]) + ("..." if len(value) > 100 else "")
    if value is None or (isinstance(value, bool | int) and abs(value) < 2**64):
        return repr(value)
    kinds = {Call: "function", OrderedRecord: "dict"}
    return f"a {kinds.get(type(value), type(value).__name__.strip('_').lower())}"
