"""Elementary functions of sixteen float32 lanes, and of tiles: powers of 2, softplus, circles."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

from numba.extending import intrinsic

from sensorssm_kernels.simd_ir import FLOATS, INTS, call_ir, constant, each, fma_ir, int_constant

# Minimax on [-0.5, 0.5]. 2**f: relative error 2e-7 in float32.
_EXP2 = (1.535336188e-4, 1.339887440e-3, 9.618437357e-3, 5.550332471e-2, 2.402264791e-1)
_EXP2 = (*_EXP2, 6.931472028e-1, 1.0)
# -log2(e), and what float32 loses of it.
_MINUS_LOG2E, _MINUS_LOG2E_REST = -1.4426950216293335, -1.925963033500e-8
# sin(pi f) / f and cos(pi f), in powers of f**2: errors 5e-9 and 2e-10 before rounding.
_SIN = (0.07756039, -0.59824213, 2.55006973, -5.16770968, 3.14159264)
_COS = (-0.02439672, 0.23493756, -1.33521206, 4.05870916, -4.93480214, 1.0)


def _function(formula):
    """Return the intrinsic that applies a formula to a vector, or to every row of a tile."""

    def operation(typing, x):
        def generate(context, builder, signature, args):
            return each(builder, lambda row: formula(builder, row), args[0])

        return x(x), generate

    operation.__doc__ = formula.__doc__
    return intrinsic(operation)


def _function_of_two(formula):
    """Return the intrinsic that applies a formula to a vector and every row of a tile."""

    def operation(typing, x, y):
        def generate(context, builder, signature, args):
            return each(builder, lambda *rows: formula(builder, *rows), *args)

        return y(x, y), generate

    operation.__doc__ = formula.__doc__
    return intrinsic(operation)


def _polynomial(builder, x, coefficients):
    value = constant(coefficients[0])
    for coefficient in coefficients[1:]:
        value = fma_ir(builder, value, x, constant(coefficient))
    return value


def _round(builder, x):
    """Return x rounded to an integer, with the bits that hold it; right while |x| < 2**22."""
    # Adding 1.5 * 2**23 rounds; no fast flags here: this rounding must survive.
    bits = builder.fadd(x, constant(12582912.0))
    return builder.fsub(bits, constant(12582912.0)), builder.bitcast(bits, INTS)


def _bounded(builder, x, low=-126.0, high=128.0):
    """Return x between bounds, those of float32's exponents unless given; a NaN stays."""
    # fcmp/select, not minnum and maxnum: those would turn a NaN into the bound.
    x = builder.select(builder.fcmp_ordered("<", x, constant(low)), constant(low), x)
    return builder.select(builder.fcmp_ordered(">", x, constant(high)), constant(high), x)


def _scale(builder, rest, bits):
    """Return 2**rest, times the power of 2 whose exponent `bits` holds."""
    power = builder.bitcast(_polynomial(builder, rest, _EXP2), INTS)
    return builder.bitcast(builder.add(power, builder.shl(bits, int_constant(23))), FLOATS)


def _exp2(builder, x):
    """Return 2**x, relative error 2e-7; 2**-126 below -126 and infinity above 128."""
    x = _bounded(builder, x)
    whole, bits = _round(builder, x)
    return _scale(builder, builder.fsub(x, whole), bits)


def _negative_exp(builder, x):
    """Return exp(-|x|), relative error 2e-7 also where |x| is large."""
    size = call_ir(builder, "llvm.fabs.v16f32", [x])
    product = builder.fmul(size, constant(_MINUS_LOG2E))
    lost = fma_ir(builder, size, constant(_MINUS_LOG2E), builder.fneg(product))
    lost = fma_ir(builder, size, constant(_MINUS_LOG2E_REST), lost)
    lost = builder.select(builder.fcmp_ordered("<", product, constant(-126.0)), constant(0.0), lost)
    product = _bounded(builder, product)
    whole, bits = _round(builder, product)
    return _scale(builder, builder.fadd(builder.fsub(product, whole), lost), bits)


def _softplus(builder, x):
    """Return log(1 + exp(x)) as max(x, 0) + 2 atanh(e / (2 + e)), e = exp(-|x|).

    No threshold and no overflow; relative error 2e-7 also where the result is tiny.
    """
    e = _negative_exp(builder, x)
    ratio = builder.fdiv(e, builder.fadd(constant(2.0), e))
    odd = (2 / 13, 2 / 11, 2 / 9, 2 / 7, 2 / 5, 2 / 3, 2.0)
    series = _polynomial(builder, builder.fmul(ratio, ratio), odd)
    negative = builder.fcmp_ordered("<", x, constant(0.0))
    return fma_ir(builder, ratio, series, builder.select(negative, constant(0.0), x))


def _sigmoid(builder, x):
    """Return 1 / (1 + exp(-x)) without overflow."""
    e = _negative_exp(builder, x)
    negative = builder.fcmp_ordered("<", x, constant(0.0))
    numerator = builder.select(negative, e, constant(1.0))
    return builder.fdiv(numerator, builder.fadd(constant(1.0), e))


def _half_angle(builder, step, turn):
    """Return sin and cos of half the angle of step times turn turns, up to the sign they share."""
    product = builder.fmul(step, turn)
    lost = fma_ir(builder, step, turn, builder.fneg(product))  # a long angle keeps its digits
    rest = builder.fadd(builder.fsub(product, _round(builder, product)[0]), lost)
    rest = _bounded(builder, rest, -1.0, 1.0)  # where float32 holds no fractions of a turn any more
    square = builder.fmul(rest, rest)
    sin = builder.fmul(rest, _polynomial(builder, square, _SIN))
    return sin, _polynomial(builder, square, _COS)


def _cos_turns(builder, step, turn):
    """Return cos(2 pi step turn) as 1 - 2 sin**2 of half the angle, absolute error 7e-7."""
    sin, _ = _half_angle(builder, step, turn)
    return fma_ir(builder, builder.fmul(sin, sin), constant(-2.0), constant(1.0))


def _sin_turns(builder, step, turn):
    """Return sin(2 pi step turn) as 2 sin cos of half the angle, absolute error 3e-7."""
    sin, cos = _half_angle(builder, step, turn)
    return builder.fmul(builder.fadd(sin, sin), cos)


exp2, softplus, sigmoid = _function(_exp2), _function(_softplus), _function(_sigmoid)
cos_turns, sin_turns = _function_of_two(_cos_turns), _function_of_two(_sin_turns)
