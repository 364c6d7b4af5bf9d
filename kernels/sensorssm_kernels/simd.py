"""Sixteen float32 lanes for numba: loads, stores and arithmetic of vectors and of tiles of four.

An operation of a tile and a vector meets every row with the vector. `load_live` and `store_live`
take the number of live lanes: dead lanes read as 0 and are not written.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sensorssm_kernels.simd_ir import (
    BLOCK,
    FAST,
    INT,
    LANES,
    address,
    call_ir,
    constant,
    each,
    fma_ir,
    join,
    live_mask,
    rows_of,
    shuffle,
    splat_ir,
    tile,
    vector,
)


@intrinsic
def load(typing, array, index):
    """Return 16 floats from flat element `index` of a C-contiguous float32 array."""

    def generate(context, builder, signature, args):
        value = builder.load(address(context, builder, signature.args[0], args[0], args[1]))
        value.align = 4
        return value

    return vector(array, types.int64), generate


@intrinsic
def load_tile(typing, array, index):
    """Return 4 times 16 floats from flat element `index` of a C-contiguous float32 array."""

    def generate(context, builder, signature, args):
        rows = []
        for i in range(BLOCK):
            at = builder.add(args[1], ir.Constant(args[1].type, i * LANES))
            row = builder.load(address(context, builder, signature.args[0], args[0], at))
            row.align = 4
            rows.append(row)
        return join(builder, rows)

    return tile(array, types.int64), generate


@intrinsic
def spread(typing, array, index):
    """Return a tile of four splats: the floats from flat element `index` on."""

    def generate(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        rows = []
        for i in range(BLOCK):
            at = builder.add(args[1], ir.Constant(args[1].type, i))
            value = builder.load(builder.gep(data, [at]))
            rows.append(splat_ir(builder, value))
        return join(builder, rows)

    return tile(array, types.int64), generate


@intrinsic
def store(typing, array, index, value):
    """Write a vector, or the rows of a tile one after another, from flat element `index` on."""

    def generate(context, builder, signature, args):
        for i, row in enumerate(rows_of(builder, args[2])):
            at = builder.add(args[1], ir.Constant(args[1].type, i * LANES))
            where = address(context, builder, signature.args[0], args[0], at)
            builder.store(row, where).align = 4
        return context.get_dummy_value()

    return types.void(array, types.int64, value), generate


def _prefetch(write: int):
    @intrinsic
    def operation(typing, array, index):
        """Ask for the cache line of flat element `index`, which may lie outside."""

        def generate(context, builder, signature, args):
            data = context.make_array(signature.args[0])(context, builder, args[0]).data
            where = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
            kind = ir.FunctionType(ir.VoidType(), [where.type, INT, INT, INT])
            function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            builder.call(function, [where, *(ir.Constant(INT, i) for i in (write, 2, 1))])
            return context.get_dummy_value()

        return types.void(array, types.int64), generate

    return operation


prefetch, prefetch_to_write = _prefetch(0), _prefetch(1)


@intrinsic
def load_live(typing, array, index, live):
    """Return `live` floats from flat element `index`, the other lanes 0."""

    def generate(context, builder, signature, args):
        where = address(context, builder, signature.args[0], args[0], args[1])
        mask = live_mask(builder, args[2])
        name = "llvm.masked.load.v16f32.p0v16f32"
        return call_ir(builder, name, [where, ir.Constant(INT, 4), mask, constant(0.0)])

    return vector(array, types.int64, types.int64), generate


@intrinsic
def store_live(typing, array, index, live, value):
    """Write the first `live` lanes at flat element `index`."""

    def generate(context, builder, signature, args):
        where = address(context, builder, signature.args[0], args[0], args[1])
        mask = live_mask(builder, args[2])
        name = "llvm.masked.store.v16f32.p0v16f32"
        call_ir(builder, name, [args[3], where, ir.Constant(INT, 4), mask], ir.VoidType())
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, vector), generate


@intrinsic
def splat(typing, value):
    """Return `value` in every lane."""

    def generate(context, builder, signature, args):
        return splat_ir(builder, args[0])

    return vector(types.float32), generate


def _widest(*kinds):
    return tile if tile in kinds else vector


def _binary(name: str):
    @intrinsic
    def operation(typing, x, y):
        def generate(context, builder, signature, args):
            return each(builder, lambda a, b: getattr(builder, name)(a, b, flags=FAST), *args)

        return _widest(x, y)(x, y), generate

    return operation


add, sub, mul = _binary("fadd"), _binary("fsub"), _binary("fmul")


@intrinsic
def fma(typing, x, y, z):
    """Return x y + z."""

    def generate(context, builder, signature, args):
        return each(builder, lambda a, b, c: fma_ir(builder, a, b, c), *args)

    return _widest(x, y, z)(x, y, z), generate


@intrinsic
def dot(typing, x, y, start):
    """Return start plus the sum over the rows of two tiles."""

    def generate(context, builder, signature, args):
        total = args[2]
        for a, b in zip(rows_of(builder, args[0]), rows_of(builder, args[1]), strict=True):
            total = fma_ir(builder, a, b, total)
        return total

    return vector(tile, tile, vector), generate


def _add_halves(builder, a, b, width: int):
    """Return the two halves of every 4 lanes of a added up, beside those of b.

    With width 1 lanes 0, 1 and 2, 3 are the halves of a, and a and b alternate lane by lane; with
    width 2 they alternate two by two. Nothing crosses 128 bits, where a shuffle is cheap.
    """
    near = [k + source for k in range(0, 2, width) for source in (0, LANES)]
    near = [q + x + w for q in range(0, LANES, 4) for x in near for w in range(width)]
    far = [x + 2 for x in near]
    return builder.fadd(shuffle(builder, a, b, near), shuffle(builder, a, b, far), flags=FAST)


@intrinsic
def quarter_sums(typing, x):
    """Return the sums of each row's 4 quarters; lane 4 q + k is quarter q of row k."""

    def generate(context, builder, signature, args):
        a, b, c, d = rows_of(builder, args[0])
        return _add_halves(builder, _add_halves(builder, a, b, 1), _add_halves(builder, c, d, 1), 2)

    return vector(x), generate


@intrinsic
def store_sums(typing, array, index, sums):
    """Write the 4 sums over quarters of `quarter_sums` from flat element `index` on."""

    def generate(context, builder, signature, args):
        quarters = [
            shuffle(builder, args[2], args[2], list(range(q, q + 4))) for q in range(0, 16, 4)
        ]
        low, high = (builder.fadd(*quarters[i : i + 2], flags=FAST) for i in (0, 2))
        total = builder.fadd(low, high, flags=FAST)
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        where = builder.bitcast(builder.gep(data, [args[1]]), total.type.as_pointer())
        builder.store(total, where).align = 4
        return context.get_dummy_value()

    return types.void(array, types.int64, vector), generate
