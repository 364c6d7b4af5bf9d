"""How vectors of sixteen float32 lanes are written in LLVM's language, for numba's intrinsics.

LLVM lowers ``<16 x float>`` to one AVX-512 register, two AVX registers or four NEON registers, so
a loop written with it needs neither auto-vectorisation nor a compiler on the user's machine. A tile
is a tuple of four vectors.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false
from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import register_model

from sensorssm_kernels.scan_plan import CPU_BLOCK as BLOCK
from sensorssm_kernels.scan_plan import CPU_LANES as LANES

FLOAT, INT = ir.FloatType(), ir.IntType(32)
FLOATS = ir.VectorType(FLOAT, LANES)
INTS = ir.VectorType(INT, LANES)
FAST = ("contract", "nsz", "arcp")  # not nnan: a NaN reading must stay a NaN


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Lanes16f")


vector = _Lanes()
tile = types.UniTuple(vector, BLOCK)


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind) -> None:
        super().__init__(manager, kind, FLOATS)


def constant(value: float) -> ir.Constant:
    """Return a vector that holds `value` in every lane."""
    return ir.Constant(FLOATS, [ir.Constant(FLOAT, value)] * LANES)


def int_constant(value: int) -> ir.Constant:
    """Return a vector of 32-bit integers, `value` in every lane."""
    return ir.Constant(INTS, [ir.Constant(INT, value)] * LANES)


def call_ir(builder, name: str, args: list, result=FLOATS):
    """Emit a call of an LLVM intrinsic by its full name; return its value, of type `result`."""
    kind = ir.FunctionType(result, [x.type for x in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def address(context, builder, kind, array, index):
    """Emit where 16 floats from flat element `index` of an array of type `kind` lie."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), FLOATS.as_pointer())


def rows_of(builder, value) -> list:
    """Return the vectors of one operand: itself, or the four of a tile."""
    if isinstance(value.type, ir.VectorType):
        return [value]
    return [builder.extract_value(value, i) for i in range(BLOCK)]


def join(builder, rows: list):
    """Return one vector as it is, and four as a tile."""
    if len(rows) == 1:
        return rows[0]
    joined = ir.Constant(ir.ArrayType(FLOATS, BLOCK), ir.Undefined)
    for i, row in enumerate(rows):
        joined = builder.insert_value(joined, row, i)
    return joined


def live_mask(builder, live):
    """Emit which lanes are under `live`, 16 bits."""
    live = builder.trunc(live, INT)
    row = builder.insert_element(ir.Constant(INTS, ir.Undefined), live, ir.Constant(INT, 0))
    row = builder.shuffle_vector(row, row, int_constant(0))
    lane = ir.Constant(INTS, [ir.Constant(INT, i) for i in range(LANES)])
    return builder.icmp_signed("<", lane, row)


def splat_ir(builder, value):
    """Emit a vector with `value` in every lane."""
    empty = ir.Constant(FLOATS, ir.Undefined)
    one = builder.insert_element(empty, value, ir.Constant(INT, 0))
    return builder.shuffle_vector(one, empty, int_constant(0))


def each(builder, function, *operands):
    """Apply a function of vectors to vectors and tiles; a vector meets every row of a tile."""
    rows = [rows_of(builder, x) for x in operands]
    count = max(map(len, rows))
    rows = [x * (count // len(x)) for x in rows]
    return join(builder, [function(*row) for row in zip(*rows, strict=True)])


def fma_ir(builder, x, y, z):
    """Emit x y + z of three vectors; return its value.

    By fmuladd, not fma: a chip without a fused instruction gets two, never a library call.
    """
    return call_ir(builder, "llvm.fmuladd.v16f32", [x, y, z])


def shuffle(builder, a, b, lanes: list[int]):
    """Emit lanes of a, from 0, and of b, from 16, in the order of `lanes`."""
    mask = ir.Constant(ir.VectorType(INT, len(lanes)), [ir.Constant(INT, i) for i in lanes])
    return builder.shuffle_vector(a, b, mask)
