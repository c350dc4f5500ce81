"""An exported graph in two: what convolutions are made of, for MNN, and the rest. Needs neither torch nor onnx.

MNN 3.6 computes some of what stands behind them wrongly, and says nothing: `Less` of negative numbers, a cast to bool.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lp_infer.exported import entries, length_delimited

GRAPH, NODE, WEIGHT, INPUT, OUTPUT = 7, 1, 5, 11, 12  # numbers of entries in ONNX's ModelProto and GraphProto
NAME, READS, MAKES, KIND, NAME_OF_WEIGHT = 1, 1, 2, 4, 8  # in ValueInfoProto, NodeProto and TensorProto
FLOAT = b"\x12\x04\x0a\x02\x08\x01"  # ValueInfoProto.type: a tensor of float32
PRODUCTS = ("Conv", "ConvTranspose")
KNOWN = frozenset(
    ("Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "DepthToSpace", "Div", "GlobalAveragePool",
     "HardSigmoid", "HardSwish", "InstanceNormalization", "MaxPool", "Mul", "ReduceMean", "Relu", "Reshape", "Resize", "Sigmoid",
     "Sub", "Transpose", *PRODUCTS)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Halves:
    """Two ONNX files for one.

    Attributes:
        front: from `frames` to `joints`.
        back: from `joints`, and whatever of the inputs it reads, to the outputs.
        joints: names of values, float32.
        inputs: of `back`, other than `joints`.
        convolutions: how many of them are in `front`, and in all.
    """

    front: bytes
    back: bytes
    joints: tuple[str, ...]
    inputs: tuple[str, ...]
    convolutions: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Entry:
    data: bytes  # with its tag
    name: str = ""
    kind: str = ""
    reads: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()


def halved(model: bytes) -> Halves:
    """Divide an ONNX file whose first input is `frames`."""
    view = memoryview(model)
    around, parts = list[bytes](), dict[int, list[_Entry]]()
    for number, start, value, stop in entries(view):
        if number != GRAPH:
            around.append(bytes(view[start:stop]))
            continue
        for kind, first, inside, last in entries(view, value, stop):
            parts.setdefault(kind, []).append(_read(kind, view[inside:last], bytes(view[first:last])))
    front, back = _divided(parts[NODE], parts.get(WEIGHT, []), {o.name for o in parts[OUTPUT]})
    read = {name for node in back for name in node.reads}
    joints = tuple(name for node in front for name in node.makes if name in read)
    known = {name for node in front for name in node.makes}

    def file(nodes: list[_Entry], inputs: Iterable[bytes], outputs: Iterable[bytes]) -> bytes:
        used = {name for node in nodes for name in node.reads}
        weights = (w.data for w in parts.get(WEIGHT, []) if w.name in used)
        graph = b"".join((*(n.data for n in nodes), length_delimited(2, b"g"), *weights, *inputs, *outputs))
        return b"".join((*around, length_delimited(GRAPH, graph)))

    given = [i for i in parts[INPUT] if i.name in read and i.name not in known]
    return Halves(
        file(front, (i.data for i in parts[INPUT][:1]), (_float(name, OUTPUT) for name in joints)),
        file(
            back, (*(i.data for i in given), *(_float(name, INPUT) for name in joints)), (o.data for o in parts[OUTPUT])
        ),
        joints,
        tuple(i.name for i in given),
        (_products(front), _products(parts[NODE])),
    )


def _divided(nodes: list[_Entry], weights: list[_Entry], outputs: set[str]) -> tuple[list[_Entry], list[_Entry]]:
    constant, known = {"", *(w.name for w in weights)}, {"frames"}
    front, back = list[_Entry](), list[_Entry]()
    for node in nodes:
        reads = set(node.reads) - constant
        if node.kind in KNOWN and reads and reads <= known and not outputs.intersection(node.makes):
            known.update(node.makes)
            front.append(node)
        else:
            back.append(node)
    return front, back


def _products(nodes: list[_Entry]) -> int:
    return sum(node.kind in PRODUCTS for node in nodes)


def _read(number: int, message: memoryview, data: bytes) -> _Entry:
    if number not in (NODE, WEIGHT, INPUT, OUTPUT):
        return _Entry(data)
    words: dict[int, list[str]] = {}
    for kind, _, start, stop in entries(message):
        if kind in ((READS, MAKES, KIND) if number == NODE else (NAME_OF_WEIGHT,) if number == WEIGHT else (NAME,)):
            words.setdefault(kind, []).append(bytes(message[start:stop]).decode())
    if number == NODE:
        return _Entry(data, "", words[KIND][0], tuple(words.get(READS, ())), tuple(words.get(MAKES, ())))
    return _Entry(data, words[NAME_OF_WEIGHT if number == WEIGHT else NAME][0])


def _float(name: str, number: int) -> bytes:
    return length_delimited(number, length_delimited(NAME, name.encode()) + FLOAT)
