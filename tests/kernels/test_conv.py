"""The causal convolution: against torch's own, every backend against the definition, refusals."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sensorssm_kernels import ArgumentError, causal_conv
from sensorssm_kernels.conv_ops import conv_backward_op, conv_op
from sensorssm_kernels.conv_ref import causal_conv_ref
from tests.kernels.factories import device_of, error, in_double

# Relative distances to float64: sums of a few terms in float32; bfloat16 is rounded to once.
TOLERANCE = {torch.float32: 1e-6, torch.bfloat16: 5e-3}


def arguments(
    batch: int, length: int, dim: int, taps: int, *, rows: int | None = None, device: str = "cpu"
) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    shapes = {
        "x": (batch, length, dim),
        "weight": (dim, taps),
        "bias": (dim,),
        "state": (rows or batch, taps - 1, dim),
    }
    return {k: torch.randn(*shape, generator=draw).to(device) for k, shape in shapes.items()}


def compare(given, backend: str, *, activation: str | None = "silu", **rows) -> None:
    """Assert that outputs and all gradients of `backend` equal the reference's in float64."""
    exact = in_double(given)
    leaves = {k: v.detach().requires_grad_() for k, v in given.items()}
    near = {k: v.cpu() for k, v in rows.items()}
    truth = causal_conv_ref(**exact, activation=activation, **near)
    found = causal_conv(**leaves, activation=activation, backend=backend, **rows)
    draw = torch.Generator().manual_seed(7)
    seeds = [torch.randn(f.shape, generator=draw).to(f) for f in found]
    grads = torch.autograd.grad(found, list(leaves.values()), seeds)
    wide = [seed.to(t) for seed, t in zip(seeds, truth, strict=True)]
    truth_grads = torch.autograd.grad(truth, list(exact.values()), wide)
    limit = TOLERANCE[given["x"].dtype]
    pairs = zip(("y", "state", *given), (*found, *grads), (*truth, *truth_grads), strict=True)
    errors = {name: error(a, b) for name, a, b in pairs}
    assert max(errors.values()) <= limit, {k: v for k, v in errors.items() if v > limit}


@pytest.mark.parametrize(("length", "taps"), [(1, 4), (2, 4), (63, 1), (65, 3), (40, 9)])
@pytest.mark.parametrize("activation", ["silu", None])
def test_backends_equal_the_definition(
    backend: str, length: int, taps: int, activation: str | None
) -> None:
    """Outputs, last readings and gradients, for rows shorter than the taps and over blocks."""
    given = arguments(2, length, 21, taps, device=device_of(backend))
    compare(given, backend, activation=activation)


@pytest.mark.parametrize("drop", ["bias", "state"])
def test_arguments_left_out(backend: str, drop: str) -> None:
    """Without a bias, and from readings of zero."""
    given = arguments(2, 20, 5, 4, device=device_of(backend))
    given.pop(drop)
    compare(given, backend)


def test_rows_of_different_lengths(backend: str) -> None:
    """Padded and packed rows on every backend, an empty row and one of a single step too."""
    device = device_of(backend)
    lengths = torch.tensor([35, 16, 0, 1], device=device)
    compare(arguments(4, 35, 6, 4, device=device), backend, lengths=lengths)
    edges = torch.tensor([0, 17, 17, 18, 40], device=device)
    compare(arguments(1, 40, 6, 4, rows=4, device=device), backend, cu_seqlens=edges)


def test_sixteen_bit_readings(backend: str) -> None:
    """Bfloat16 readings are summed in float32 and rounded once."""
    if backend == "triton" and device_of(backend) == "cpu":
        pytest.skip("Triton's interpreter truncates to bfloat16; a GPU rounds to nearest")
    given = arguments(2, 33, 8, 4, device=device_of(backend))
    compare(given | {k: given[k].bfloat16() for k in ("x", "state")}, backend)


@pytest.mark.parametrize("sizes", [(0, 5, 3), (2, 0, 3)], ids=str)
def test_nothing_to_convolve(backend: str, sizes: tuple[int, int, int]) -> None:
    """No rows, or rows without steps: an empty y, and the state as it came."""
    given = arguments(*sizes, 4, device=device_of(backend))
    leaves = {k: v.requires_grad_() for k, v in given.items()}
    y, state = causal_conv(**leaves, backend=backend)
    assert y.shape == sizes
    torch.testing.assert_close(state, given["state"])
    (y.sum() + state.sum()).backward()
    assert given["state"].grad.eq(1).all()
    assert not given["weight"].grad.any()


def test_views_that_are_not_contiguous(backend: str) -> None:
    """A transposed x gives what its copy gives."""
    given = arguments(2, 12, 6, 4, device=device_of(backend))
    strided = given | {"x": given["x"].mT.contiguous().mT}
    for a, b in zip(
        causal_conv(**strided, backend=backend), causal_conv(**given, backend=backend), strict=True
    ):
        assert torch.equal(a, b)


def test_threads_do_not_change_results() -> None:
    """One row on two threads gives the bits of one thread, gradients included."""
    given = arguments(1, 3000, 70, 4)
    before, results = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            leaves = {k: v.clone().requires_grad_() for k, v in given.items()}
            y, state = causal_conv(**leaves, backend="cpu")
            grads = torch.autograd.grad(y.square().sum() + state.sum(), list(leaves.values()))
            results.append((y, state, *grads))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_opcheck(backend: str) -> None:
    """Schema, fake tensors, autograd registration and ahead-of-time dispatch agree."""
    given = arguments(2, 9, 5, 4, device=device_of(backend))
    leaves = [v.requires_grad_() for v in given.values()]
    torch.library.opcheck(conv_op, (*leaves, None, None, True, backend))
    y, state = (v.detach() for v in conv_op(*leaves, None, None, True, backend))
    fixed = [v.detach() for v in leaves]
    torch.library.opcheck(conv_backward_op, (y, state, *fixed, None, None, True, backend))


def test_compile_without_graph_breaks(backend: str) -> None:
    """`torch.compile(fullgraph=True)` gives the eager outputs and gradients."""
    given = arguments(2, 9, 5, 4, device=device_of(backend))

    def loss(*values):
        y, state = causal_conv(*values, backend=backend)
        return (y * y).sum() + state.sin().sum()

    eager = [v.clone().requires_grad_() for v in given.values()]
    compiled = [v.clone().requires_grad_() for v in given.values()]
    loss(*eager).backward()
    torch.compile(loss, fullgraph=True, backend="aot_eager")(*compiled).backward()
    for a, b in zip(compiled, eager, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_vmap_over_readings_and_weights(backend: str) -> None:
    """A batch of readings, with or without weights of their own, equals a loop over it."""
    given = arguments(2, 6, 3, 4, device=device_of(backend))
    stacked = [torch.stack([v, v + 1, v - 1]) for v in given.values()]

    def run(x, weight, bias, state):
        return causal_conv(x, weight, bias, state, backend=backend)

    for dims in ((0, 0, 0, 0), (0, None, None, 0)):
        values = [v if axis == 0 else v[0] for v, axis in zip(stacked, dims, strict=True)]
        found = torch.vmap(run, in_dims=dims)(*values)
        for i in range(3):
            one = [v[i] if axis == 0 else v for v, axis in zip(values, dims, strict=True)]
            for whole, part in zip(found, run(*one), strict=True):
                torch.testing.assert_close(whole[i], part)


def test_double_backward_goes_through_the_reference(backend: str) -> None:
    """A gradient penalty on the operator equals that on the definition."""
    given = arguments(2, 6, 3, 3, device=device_of(backend))

    def penalty(function, **options):
        leaves = [v.clone().requires_grad_() for v in given.values()]
        y, state = function(*leaves, **options)
        loss = (y * y).sum() + state.sin().sum()
        grads = torch.autograd.grad(loss, leaves, create_graph=True)
        return torch.autograd.grad(sum((g * g).sum() for g in grads), leaves)

    for a, b in zip(penalty(causal_conv, backend=backend), penalty(causal_conv_ref), strict=True):
        assert error(a, b) < 1e-5


@pytest.mark.parametrize("length", [1, 2, 3, 65])
@pytest.mark.parametrize("taps", [1, 2, 4])
@pytest.mark.parametrize("activation", ["silu", None])
def test_equals_a_depthwise_convolution(length: int, taps: int, activation: str | None) -> None:
    """The readings before x are the left padding of an ordinary depthwise convolution."""
    a = arguments(2, length, 5, taps)
    padded = torch.cat([a["state"], a["x"]], dim=1)
    wanted = F.conv1d(padded.mT, a["weight"][:, None], a["bias"], groups=5).mT
    wanted = F.silu(wanted) if activation else wanted
    y, state = causal_conv(**a, activation=activation)
    torch.testing.assert_close(y, wanted)
    torch.testing.assert_close(state, padded[:, length:])


def test_gradients_match_finite_differences() -> None:
    """Every argument and both outputs, in float64."""
    a = {k: v.double().requires_grad_() for k, v in arguments(2, 5, 3, 3).items()}
    assert torch.autograd.gradcheck(lambda *v: causal_conv(*v), tuple(a.values()))


def test_chunks_equal_the_whole() -> None:
    """Carrying the state over a cut, inside the taps too, changes nothing."""
    a = arguments(2, 9, 5, 4)
    whole, last = causal_conv(**a)
    x, state, parts = a.pop("x"), a.pop("state"), []
    for part in x.split([1, 2, 6], dim=1):
        y, state = causal_conv(part, **a, state=state)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    assert torch.equal(state, last)


def test_padded_and_packed_rows_equal_rows_alone() -> None:
    """A row gives what it gives alone, whether padded or packed, however short."""
    a = arguments(3, 6, 5, 4)
    lengths = [6, 2, 0]
    x, state = a.pop("x"), a.pop("state")
    alone = [
        causal_conv(x[i : i + 1, :n], **a, state=state[i : i + 1]) for i, n in enumerate(lengths)
    ]
    y, last = causal_conv(x, **a, state=state, lengths=torch.tensor(lengths))
    flat = torch.cat([x[i : i + 1, :n] for i, n in enumerate(lengths)], dim=1)
    packed, packed_last = causal_conv(flat, **a, state=state, cu_seqlens=torch.tensor([0, 6, 8, 8]))
    torch.testing.assert_close(packed, torch.cat([part for part, _ in alone], dim=1))
    for i, n in enumerate(lengths):
        torch.testing.assert_close(y[i, :n], alone[i][0][0])
        assert not y[i, n:].any()
        torch.testing.assert_close(last[i], alone[i][1][0])
        torch.testing.assert_close(packed_last[i], alone[i][1][0])


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("x", torch.zeros(2, 5), "(B, L, D)"),
        ("weight", torch.zeros(4, 3), "(5, W)"),
        ("bias", torch.zeros(4), "(5,)"),
        ("state", torch.zeros(2, 4, 5), "(2, 3, 5)"),
        ("activation", "relu", "'silu' or None"),
        ("lengths", torch.tensor([7, 1]), "from 0 to L = 6"),
    ],
)
def test_bad_arguments_are_named(name: str, value: object, part: str) -> None:
    """A refusal names the argument and says what was found and what was wanted."""
    with pytest.raises(ArgumentError) as caught:
        causal_conv(**arguments(2, 6, 5, 4) | {name: value})
    assert str(caught.value).startswith(f"`{name}`: found ")
    assert part in str(caught.value)
