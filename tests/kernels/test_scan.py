"""The operator: every backend against the definition in float64, forwards and backwards."""

from __future__ import annotations

import pytest
import torch

from sensorssm_kernels import ArgumentError, BackendError, selective_scan, selective_scan_ref
from tests.kernels.factories import DEVICE, device_of, error, in_double, scan_arguments

# Relative distances to float64. Float32 sums of up to 1,000 terms round to a few 1e-7; bfloat16
# keeps 8 bits, and y and the gradients are rounded to it once.
TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 5e-3, torch.float16: 1e-3}
TRITON = [pytest.param("triton", marks=[pytest.mark.gpu] if DEVICE == "cuda" else [])]


def compare(arguments, backend, *, dtype=torch.float32, drop=(), **options) -> None:
    """Assert that outputs and all gradients of `backend` equal the reference's in float64."""
    given = {k: v for k, v in arguments.items() if k not in drop}
    truth_in = in_double(given)
    leaves = {k: v.detach().requires_grad_() for k, v in given.items()}
    near = {k: v.cpu() if isinstance(v, torch.Tensor) else v for k, v in options.items()}
    truth = selective_scan_ref(**truth_in, **near)
    found = selective_scan(**leaves, **options, backend=backend)
    draw = torch.Generator().manual_seed(7)
    # Both get the seeds that the output's dtype can hold.
    seeds = [
        torch.randn(t.shape, generator=draw, dtype=t.dtype).to(f)
        for t, f in zip(truth, found, strict=True)
    ]
    exact = [seed.to(t) for seed, t in zip(seeds, truth, strict=True)]
    truth_grads = torch.autograd.grad(truth, list(truth_in.values()), exact)
    found_grads = torch.autograd.grad(found, list(leaves.values()), seeds)
    errors = {
        name: error(a, b)
        for name, a, b in zip(
            ("y", "state", *given), (*found, *found_grads), (*truth, *truth_grads), strict=True
        )
    }
    limit = TOLERANCE[dtype]
    assert max(errors.values()) <= limit, {k: v for k, v in errors.items() if v > limit}


@pytest.mark.parametrize("length", [1, 2, 63, 65])
def test_lengths_that_hurt(backend: str, length: int) -> None:
    """Outputs and gradients at lengths around a block, with channels that fill no tile."""
    compare(scan_arguments(2, length, 6, 4, device=device_of(backend)), backend)


@pytest.mark.parametrize("states", [1, 4, 8, 16, 64])
@pytest.mark.parametrize("form", ["full", "shared"])
def test_state_sizes(backend: str, states: int, form: str) -> None:
    """Every state size, with a rate per state and with one per channel."""
    compare(scan_arguments(2, 11, 11, states, form=form, device=device_of(backend)), backend)


@pytest.mark.parametrize(("form", "fixed"), [("full", "B C"), ("shared", "B")])
def test_matrices_fixed_in_time(backend: str, form: str, fixed: str) -> None:
    """B or C of shape (D, N) beside selective steps: time that passes unevenly."""
    device = device_of(backend)
    x = scan_arguments(3, 35, 21, 6, form=form, device=device)
    fresh = scan_arguments(1, 21, 6, 6, form=form, seed=1, device=device)
    compare(x | {name: fresh[name][0] for name in fixed.split()}, backend)


def test_fixed_matrices_in_padded_and_packed_rows(backend: str) -> None:
    """Fixed B and C add up over rows of different lengths, an empty one among them."""
    device = device_of(backend)
    x = scan_arguments(4, 35, 6, 4, device=device)
    fixed = {"B": x["B"][0, :6], "C": x["C"][1, :6]}
    compare(x | fixed, backend, lengths=torch.tensor([35, 16, 0, 1], device=device))
    x = scan_arguments(1, 40, 6, 4, rows=4, device=device)
    compare(x | fixed, backend, cu_seqlens=torch.tensor([0, 17, 17, 18, 40], device=device))


def test_everything_fixed_in_time(backend: str) -> None:
    """A delta of shape (D,) too, in whole rows and in padded ones: the scan, no convolution."""
    device = device_of(backend)
    x = scan_arguments(4, 35, 6, 4, device=device)
    x |= {"delta": x["delta"][0, 0], "B": x["B"][0, :6], "C": x["C"][1, :6]}
    compare(x, backend)
    compare(x, backend, lengths=torch.tensor([35, 16, 0, 1], device=device))


@pytest.mark.parametrize(
    ("length", "dim", "states"), [(1, 3, 1), (2, 16, 4), (33, 21, 6), (65, 5, 16), (20, 3, 64)]
)
def test_complex_rates(backend: str, length: int, dim: int, states: int) -> None:
    """Oscillating states: outputs and gradients of both parts of every complex argument."""
    x = scan_arguments(2, length, dim, states, form="complex", device=device_of(backend))
    for name in ("B", "C"):
        x[name] = torch.complex(x[name], x[name].flip(1))
    compare(x, backend)


def test_complex_rates_in_padded_and_packed_rows(backend: str) -> None:
    """Real B and C beside complex rates, in rows of different lengths, an empty one too."""
    device = device_of(backend)
    x = scan_arguments(4, 35, 6, 4, form="complex", device=device)
    lengths = torch.tensor([35, 16, 0, 1], device=device)
    compare(x, backend, lengths=lengths)
    compare(x, backend, lengths=lengths, drop=("D_skip", "z", "delta_bias", "initial_state"))
    x = scan_arguments(1, 40, 6, 4, rows=4, form="complex", device=device)
    compare(x, backend, cu_seqlens=torch.tensor([0, 17, 17, 18, 40], device=device))


@pytest.mark.parametrize("names", ["B", "C", "B C"])
def test_complex_rates_beside_fixed_matrices(backend: str, names: str) -> None:
    """A fixed complex C, a fixed real B or both; one complex rate per channel."""
    x = scan_arguments(3, 20, 6, 4, form="complex", device=device_of(backend))
    fixed = {"B": x["initial_state"][0].real.contiguous(), "C": x["initial_state"][1]}
    x |= {name: fixed[name] for name in names.split()}
    compare(x, backend)
    compare(x | {"A": x["A"][:, 0].contiguous()}, backend)


@pytest.mark.parametrize("gap", [1e6, 1e12, 1e20])
def test_a_gap_whose_angle_has_no_digits_left(backend: str, gap: float) -> None:
    """After a gap that no float32 counts turns of, old states are forgotten and nothing is NaN."""
    x = scan_arguments(1, 5, 3, 2, form="complex", device=device_of(backend))
    x["delta"] = x["delta"].abs()
    x["delta"][0, 2] = gap
    compare(x, backend, drop=("delta_bias",), delta_softplus=False)


@pytest.mark.parametrize("form", ["full", "shared", "complex"])
def test_a_thousand_steps(form: str) -> None:
    """Errors do not grow over 1,000 steps, with channels in three strips."""
    compare(scan_arguments(2, 1000, 37, 16, form=form), "cpu")


@pytest.mark.parametrize(
    "drop",
    [
        ("D_skip",),
        ("z",),
        ("delta_bias",),
        ("initial_state",),
        ("D_skip", "z", "delta_bias", "initial_state"),
    ],
    ids=" ".join,
)
def test_arguments_left_out(backend: str, drop: tuple[str, ...]) -> None:
    """Every optional argument absent, alone and together."""
    compare(scan_arguments(2, 10, 6, 4, device=device_of(backend)), backend, drop=drop)


def test_without_softplus(backend: str) -> None:
    """Steps that are used as they are: no bias, no softplus, time that passed as given."""
    x = scan_arguments(2, 10, 6, 4, device=device_of(backend))
    x["delta"] = x["delta"].abs()
    compare(x, backend, drop=("delta_bias",), delta_softplus=False)


def test_padded_rows(backend: str) -> None:
    """Rows of different lengths, an empty one among them; padding gets no gradient."""
    x = scan_arguments(4, 35, 6, 4, device=device_of(backend))
    compare(x, backend, lengths=torch.tensor([35, 16, 0, 1], device=device_of(backend)))


@pytest.mark.parametrize("edges", [[0, 17, 17, 18, 40], [0, 40], [0, 0]], ids=str)
def test_packed_rows(backend: str, edges: list[int]) -> None:
    """Packed rows start from their own states; empty rows and a single row too."""
    device = device_of(backend)
    x = scan_arguments(1, edges[-1], 6, 4, rows=len(edges) - 1, device=device)
    if edges[-1]:
        compare(x, backend, cu_seqlens=torch.tensor(edges, device=device))
        return
    y, state = selective_scan(**x, cu_seqlens=torch.tensor(edges, device=device), backend=backend)
    assert y.shape == (1, 0, 6)
    torch.testing.assert_close(state, x["initial_state"])


@pytest.mark.parametrize("sizes", [(0, 5, 6), (2, 0, 6)], ids=str)
def test_nothing_to_scan(backend: str, sizes: tuple[int, int, int]) -> None:
    """No rows, or rows without steps: an empty y, the state as it came, gradients of zero."""
    x = scan_arguments(*sizes, 4, device=device_of(backend))
    x["A"].requires_grad_()
    y, state = selective_scan(**x, backend=backend)
    assert y.shape == sizes
    torch.testing.assert_close(state, x["initial_state"])
    (state.sum() + y.sum()).backward()
    assert not x["A"].grad.any()


def test_views_that_are_not_contiguous(backend: str) -> None:
    """Transposed and strided arguments give what their copies give."""
    x = scan_arguments(2, 12, 6, 4, device=device_of(backend))
    strided = {k: v.mT.contiguous().mT if v.ndim == 3 else v for k, v in x.items()}
    strided["u"] = x["u"].repeat_interleave(2, dim=1)[:, ::2]
    for a, b in zip(
        selective_scan(**strided, backend=backend),
        selective_scan(**x, backend=backend),
        strict=True,
    ):
        assert torch.equal(a, b)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bit_readings(backend: str, dtype: torch.dtype) -> None:
    """16-bit readings with float32 rates and states: only inputs and results are rounded."""
    if backend == "triton" and DEVICE == "cpu" and dtype == torch.bfloat16:
        pytest.skip("Triton's interpreter truncates to bfloat16; a GPU rounds to nearest")
    x = scan_arguments(2, 33, 8, 4, dtype=dtype, device=device_of(backend))
    compare(x, backend, dtype=dtype)


def test_large_and_tiny_steps(backend: str) -> None:
    """Raw steps of -30 and +60 neither overflow nor lose digits in softplus."""
    x = scan_arguments(2, 16, 6, 4, device=device_of(backend))
    x["delta"][:, ::3] = 60.0
    x["delta"][:, 1::3] = -12.0
    compare(x, backend)


def test_chunks_equal_the_whole(backend: str) -> None:
    """Carrying the state over a cut gives the outputs and the last state of one scan."""
    x = scan_arguments(2, 40, 6, 4, device=device_of(backend))
    whole, last = selective_scan(**x, backend=backend)
    state, parts = x.pop("initial_state"), []
    for a, b in ((0, 1), (1, 17), (17, 40)):
        part = {k: v[:, a:b] if v.ndim == 3 else v for k, v in x.items()}
        y, state = selective_scan(**part, initial_state=state, backend=backend)
        parts.append(y)
    assert error(torch.cat(parts, dim=1), whole) < 1e-6
    assert error(state, last) < 1e-6


def test_two_runs_are_bitwise_equal(backend: str) -> None:
    """No sum depends on the order in which threads end."""
    x = scan_arguments(3, 20, 11, 4, device=device_of(backend))

    def run():
        leaves = {k: v.detach().clone().requires_grad_() for k, v in x.items()}
        y, state = selective_scan(**leaves, backend=backend)
        grads = torch.autograd.grad(y.sum() + state.sum(), list(leaves.values()))
        return y, state, *grads

    assert all(torch.equal(a, b) for a, b in zip(run(), run(), strict=True))


def test_threads_do_not_change_results() -> None:
    """The CPU backend gives the same bits on one thread and on two."""
    x = scan_arguments(1, 300, 70, 16)
    before = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(selective_scan(**x, backend="cpu"))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def forget_launches(scan_triton) -> None:
    """Drop the plans of earlier calls: a constant of the module is about to change."""
    for plan in vars(scan_triton).values():
        if hasattr(plan, "cache_clear"):
            plan.cache_clear()


@pytest.mark.parametrize("length", [41, 64])
@pytest.mark.parametrize("backend", TRITON, indirect=True)
def test_few_long_rows_run_as_segments(
    monkeypatch: pytest.MonkeyPatch, backend: str, length: int
) -> None:
    """Rows cut into segments of time give the outputs and gradients of whole rows."""
    scan_triton = pytest.importorskip("sensorssm_kernels.scan_cases_triton")
    monkeypatch.setattr(scan_triton, "_SHORTEST_SEGMENT", 16)
    forget_launches(scan_triton)
    compare(scan_arguments(2, length, 6, 4, device=DEVICE), backend)
    forget_launches(scan_triton)


@pytest.mark.parametrize("backend", TRITON, indirect=True)
def test_many_channels_run_in_wide_tiles(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """Where channels are many, no block is prepared ahead: with and without a backward."""
    scan_triton = pytest.importorskip("sensorssm_kernels.scan_cases_triton")
    monkeypatch.setattr(scan_triton, "_MANY_CHANNELS", 1)
    forget_launches(scan_triton)
    x = scan_arguments(2, 41, 6, 4, device=DEVICE)
    compare(x, backend)
    found, wanted = selective_scan(**x, backend=backend), selective_scan_ref(**in_double(x))
    forget_launches(scan_triton)
    assert error(found[0], wanted[0]) <= 2e-6
    assert error(found[1], wanted[1]) <= 2e-6


@pytest.mark.parametrize("backend", TRITON, indirect=True)
def test_a_thousand_steps_in_blocks(backend: str) -> None:
    """Errors do not grow over 1,000 steps of the Triton kernels."""
    compare(scan_arguments(1, 1000, 6, 4, device=DEVICE), backend)


def test_nan_readings_stay_nan(backend: str) -> None:
    """A NaN in u reaches the outputs after it in its channel, and no other."""
    x = scan_arguments(1, 8, 6, 4, device=device_of(backend))
    x["u"][0, 4, 1] = torch.nan
    y, state = selective_scan(**x, backend=backend)
    assert y[0, 4:, 1].isnan().all()
    assert state[0, 1].isnan().all()
    assert not y[0, :4].isnan().any()
    assert not y[0, :, [0, 2, 3, 4, 5]].isnan().any()


BAD = {
    "u": (torch.zeros(2, 5), "shape"),
    "delta": (torch.zeros(2, 5, 4), "(2, 5, 3)"),
    "A": (torch.zeros(4, 2), "(3, N)"),
    "B": (torch.zeros(2, 5, 3), "(2, 5, 2)"),
    "C": (torch.zeros(2, 5, 2, dtype=torch.int64), "int64"),
    "D_skip": (torch.zeros(4), "(3,)"),
    "z": ([1.0], "list"),
    "delta_bias": (torch.zeros(3, device="meta"), "meta"),
    "initial_state": (torch.zeros(1, 3, 2), "(2, 3, 2)"),
    "lengths": (torch.tensor([5, -1]), "-1"),
    "cu_seqlens": (torch.tensor([0, 5]), "batch of 2"),
    "backend": ("cuda", "'auto'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named(name: str) -> None:
    """A refusal names the argument and says what was found and what was wanted."""
    value, part = BAD[name]
    x = scan_arguments(2, 5, 3, 2) | {name: value}
    with pytest.raises(ArgumentError) as caught:
        selective_scan(**x)
    assert str(caught.value).startswith(f"`{name}`: found ")
    assert part in str(caught.value)


def test_nan_steps_are_refused() -> None:
    """NaN in delta would poison the state for good: it is refused by name."""
    x = scan_arguments(2, 5, 3, 2)
    x["delta"][0, 1, 2] = torch.nan
    with pytest.raises(ArgumentError, match="`delta`: found 1 NaN"):
        selective_scan(**x)


def test_packed_edges_are_checked() -> None:
    """Edges that fall or do not end at the last reading are refused with their values."""
    x = scan_arguments(1, 5, 3, 2, rows=2)
    with pytest.raises(ArgumentError, match="found \\[0, 6, 5\\]"):
        selective_scan(**x, cu_seqlens=torch.tensor([0, 6, 5]))


def test_a_forced_backend_raises() -> None:
    """A backend asked for by name never falls back: float64 runs only on the reference."""
    x = {k: v.double() for k, v in scan_arguments(2, 5, 3, 2).items()}
    with pytest.raises(BackendError, match="float64"):
        selective_scan(**x, backend="cpu")
    y, _ = selective_scan(**x)
    assert y.dtype == torch.float64


def test_auto_says_once_what_it_chose(caplog: pytest.LogCaptureFixture) -> None:
    """One line in the log names the backend, however often it is called."""
    from sensorssm_kernels import backends

    backends._report.cache_clear()
    x = scan_arguments(1, 3, 2, 2)
    with caplog.at_level("INFO", logger="sensorssm_kernels"):
        selective_scan(**x)
        selective_scan(**x)
    assert [r.getMessage() for r in caplog.records] == ["selective scan on cpu: backend cpu"]
