"""Sixteen float32 lanes for numba: a type over LLVM's ``<16 x float>``.

LLVM lowers it to one AVX-512 register, two AVX registers or four NEON registers, so a loop written
with it needs neither auto-vectorisation nor a compiler on the user's machine. Loads and stores
take the number of live lanes: dead lanes read as 0 and are not written.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

from sensorssm_kernels.scan_plan import CPU_LANES as LANES

_FLOAT, _INT, _BIT = ir.FloatType(), ir.IntType(32), ir.IntType(1)
_FLOATS = ir.VectorType(_FLOAT, LANES)
_INTS = ir.VectorType(_INT, LANES)
_BITS = ir.VectorType(_BIT, LANES)
_FAST = ("contract", "nsz", "arcp")  # not nnan: a NaN reading must stay a NaN


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Lanes16f")


_lanes = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind) -> None:
        super().__init__(manager, kind, _FLOATS)


def _all(value: float) -> ir.Constant:
    return ir.Constant(_FLOATS, [ir.Constant(_FLOAT, value)] * LANES)


def _all_int(value: int) -> ir.Constant:
    return ir.Constant(_INTS, [ir.Constant(_INT, value)] * LANES)


def _call(builder, name: str, args: list, result=_FLOATS):
    kind = ir.FunctionType(result, [x.type for x in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def _address(context, builder, kind, array, index):
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _FLOATS.as_pointer())


def _live_mask(builder, live):
    live = builder.trunc(live, _INT)
    row = builder.insert_element(ir.Constant(_INTS, ir.Undefined), live, ir.Constant(_INT, 0))
    row = builder.shuffle_vector(row, row, _all_int(0))
    lane = ir.Constant(_INTS, [ir.Constant(_INT, i) for i in range(LANES)])
    return builder.icmp_signed("<", lane, row)


@intrinsic
def load(typing, array, index):
    """Return 16 floats from flat element `index` of a C-contiguous float32 array."""

    def generate(context, builder, signature, args):
        value = builder.load(_address(context, builder, signature.args[0], args[0], args[1]))
        value.align = 4
        return value

    return _lanes(array, types.int64), generate


@intrinsic
def store(typing, array, index, value):
    """Write 16 floats at flat element `index` of a C-contiguous float32 array."""

    def generate(context, builder, signature, args):
        where = _address(context, builder, signature.args[0], args[0], args[1])
        builder.store(args[2], where).align = 4
        return context.get_dummy_value()

    return types.void(array, types.int64, _lanes), generate


@intrinsic
def load_live(typing, array, index, live):
    """Return `live` floats from flat element `index`, the other lanes 0."""

    def generate(context, builder, signature, args):
        where = _address(context, builder, signature.args[0], args[0], args[1])
        mask = _live_mask(builder, args[2])
        name = "llvm.masked.load.v16f32.p0v16f32"
        return _call(builder, name, [where, ir.Constant(_INT, 4), mask, _all(0.0)])

    return _lanes(array, types.int64, types.int64), generate


@intrinsic
def store_live(typing, array, index, live, value):
    """Write the first `live` lanes at flat element `index`."""

    def generate(context, builder, signature, args):
        where = _address(context, builder, signature.args[0], args[0], args[1])
        mask = _live_mask(builder, args[2])
        name = "llvm.masked.store.v16f32.p0v16f32"
        _call(builder, name, [args[3], where, ir.Constant(_INT, 4), mask], ir.VoidType())
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, _lanes), generate


@intrinsic
def splat(typing, value):
    """Return `value` in every lane."""

    def generate(context, builder, signature, args):
        empty = ir.Constant(_FLOATS, ir.Undefined)
        one = builder.insert_element(empty, args[0], ir.Constant(_INT, 0))
        return builder.shuffle_vector(one, empty, _all_int(0))

    return _lanes(types.float32), generate


@intrinsic
def lane_sum(typing, value):
    """Return the sum of the 16 lanes."""

    def generate(context, builder, signature, args):
        kind = ir.FunctionType(_FLOAT, [_FLOAT, _FLOATS])
        name = "llvm.vector.reduce.fadd.v16f32"
        reduce = cgutils.get_or_insert_function(builder.module, kind, name)
        zero = ir.Constant(_FLOAT, 0.0)
        return builder.call(reduce, [zero, args[0]], fastmath=("reassoc", "nsz"))

    return types.float32(_lanes), generate


def _binary(name: str):
    @intrinsic
    def operation(typing, x, y):
        def generate(context, builder, signature, args):
            return getattr(builder, name)(args[0], args[1], flags=_FAST)

        return _lanes(_lanes, _lanes), generate

    return operation


add, sub, mul, div = _binary("fadd"), _binary("fsub"), _binary("fmul"), _binary("fdiv")


def _fma_ir(builder, x, y, z):
    # fmuladd, not fma: a chip without a fused instruction gets two, never a library call.
    return _call(builder, "llvm.fmuladd.v16f32", [x, y, z])


@intrinsic
def fma(typing, x, y, z):
    """Return x y + z."""

    def generate(context, builder, signature, args):
        return _fma_ir(builder, *args)

    return _lanes(_lanes, _lanes, _lanes), generate


def _polynomial(builder, x, coefficients):
    value = _all(coefficients[0])
    for coefficient in coefficients[1:]:
        value = _fma_ir(builder, value, x, _all(coefficient))
    return value


def _exp2_ir(builder, x):
    # fcmp/select, not minnum and maxnum: those would turn a NaN into the bound.
    x = builder.select(builder.fcmp_ordered("<", x, _all(-126.0)), _all(-126.0), x)
    x = builder.select(builder.fcmp_ordered(">", x, _all(128.0)), _all(128.0), x)
    # Adding 1.5 * 2**23 rounds to an integer; no fast flags here: this rounding must survive.
    rounded = builder.fadd(x, _all(12582912.0))
    rest = builder.fsub(x, builder.fsub(rounded, _all(12582912.0)))
    exponent = builder.shl(builder.bitcast(rounded, _INTS), _all_int(23))
    # Minimax on [-0.5, 0.5], relative error 2e-7 in float32.
    series = (1.535336188e-4, 1.339887440e-3, 9.618437357e-3, 5.550332471e-2, 2.402264791e-1)
    power = _polynomial(builder, rest, (*series, 6.931472028e-1, 1.0))
    return builder.bitcast(builder.add(builder.bitcast(power, _INTS), exponent), _FLOATS)


def _negative_exp_ir(builder, x):
    """exp(-|x|)."""
    size = _call(builder, "llvm.fabs.v16f32", [x])
    return _exp2_ir(builder, builder.fmul(size, _all(-1.4426950408889634)))


@intrinsic
def exp2(typing, x):
    """Return 2**x, relative error 2e-7; 2**-126 below -126 and infinity above 128."""

    def generate(context, builder, signature, args):
        return _exp2_ir(builder, args[0])

    return _lanes(_lanes), generate


@intrinsic
def softplus(typing, x):
    """Return log(1 + exp(x)) as max(x, 0) + 2 atanh(e / (2 + e)), e = exp(-|x|).

    No threshold and no overflow; relative error 2e-7 also where the result is tiny.
    """

    def generate(context, builder, signature, args):
        e = _negative_exp_ir(builder, args[0])
        ratio = builder.fdiv(e, builder.fadd(_all(2.0), e))
        square = builder.fmul(ratio, ratio)
        odd = (2 / 13, 2 / 11, 2 / 9, 2 / 7, 2 / 5, 2 / 3, 2.0)
        series = _polynomial(builder, square, odd)
        negative = builder.fcmp_ordered("<", args[0], _all(0.0))
        return _fma_ir(builder, ratio, series, builder.select(negative, _all(0.0), args[0]))

    return _lanes(_lanes), generate


@intrinsic
def sigmoid(typing, x):
    """Return 1 / (1 + exp(-x)) without overflow."""

    def generate(context, builder, signature, args):
        e = _negative_exp_ir(builder, args[0])
        negative = builder.fcmp_ordered("<", args[0], _all(0.0))
        numerator = builder.select(negative, e, _all(1.0))
        return builder.fdiv(numerator, builder.fadd(_all(1.0), e))

    return _lanes(_lanes), generate
