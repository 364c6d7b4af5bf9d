"""The definition itself: against closed forms, a matrix power, and finite differences."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sensorssm_kernels import selective_scan_ref
from tests.kernels.factories import error, in_double, scan_arguments

FORMS = ("full", "shared", "complex")


def test_constant_input_gives_the_geometric_sum() -> None:
    """With everything constant, h[t] is delta B u (1 - a^(t+1)) / (1 - a)."""
    length, step, rate, gain, reading = 50, 0.3, -0.7, 1.5, 2.0
    one = torch.ones(1, length, 1, dtype=torch.float64)
    y, state = selective_scan_ref(
        reading * one, step * one, torch.tensor([[rate]], dtype=torch.float64), gain * one, one,
        delta_softplus=False,
    )  # fmt: skip
    a = torch.exp(torch.tensor(step * rate, dtype=torch.float64))
    powers = a ** torch.arange(1, length + 1)
    expected = step * gain * reading * (1 - powers) / (1 - a)
    torch.testing.assert_close(y[0, :, 0], expected)
    torch.testing.assert_close(state[0, 0, 0], expected[-1])


@pytest.mark.parametrize("form", FORMS)
def test_impulse_response_is_a_matrix_exponential(form: str) -> None:
    """A pulse at t = 0 under fixed parameters gives C exp(A delta t) B delta at every t."""
    x = in_double(scan_arguments(1, 20, 3, 4, form=form))
    A = x["A"] if x["A"].ndim == 2 else x["A"][:, None].expand(3, 4)
    B, C = (v[0, :3].clone() for v in (x["B"], x["C"]))
    step = F.softplus(x["delta"][0, 0])
    u = torch.zeros(1, 20, 3, dtype=torch.float64)
    u[:, 0] = 1
    y, _ = selective_scan_ref(u, step, x["A"], B, C, delta_softplus=False)
    for d in range(3):
        generator = torch.diag(A[d] * step[d])
        for t in range(20):
            response = C[d].to(A) @ torch.matrix_exp(generator * t) @ (B[d] * step[d]).to(A)
            response = 2 * response.real if form == "complex" else response
            torch.testing.assert_close(y[0, t, d], response)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_match_finite_differences(form: str) -> None:
    """Every argument, both outputs, in float64."""
    x = in_double(scan_arguments(2, 3, 2, 2, form=form))
    state = x.pop("initial_state")

    def run(state, *values):
        y, last = selective_scan_ref(*values, initial_state=state)
        return y, torch.view_as_real(last) if last.is_complex() else last

    assert torch.autograd.gradcheck(run, (state, *x.values()))


def test_gradients_match_finite_differences_twice() -> None:
    """The second derivative too, which only the reference has."""
    x = in_double(scan_arguments(1, 2, 1, 2))
    state = x.pop("initial_state")
    assert torch.autograd.gradgradcheck(
        lambda state, *values: selective_scan_ref(*values, initial_state=state)[0],
        (state, *x.values()),
    )


@pytest.mark.parametrize("form", FORMS)
def test_padding_changes_nothing(form: str) -> None:
    """A padded row gives what the row alone gives, zeros after it, and its own last state."""
    x = scan_arguments(3, 9, 4, 2, form=form)
    lengths = torch.tensor([9, 4, 0])
    state = x.pop("initial_state")
    y, last = selective_scan_ref(**x, initial_state=state, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = {k: v[row : row + 1, :length] if v.ndim == 3 else v for k, v in x.items()}
        y_row, last_row = selective_scan_ref(**alone, initial_state=state[row : row + 1])
        torch.testing.assert_close(y[row, :length], y_row[0])
        torch.testing.assert_close(last[row], last_row[0])
        assert not y[row, length:].any()


def test_packed_rows_are_rows_of_their_own() -> None:
    """Rows packed into one give what they give alone; an empty one keeps its state."""
    x = scan_arguments(1, 9, 4, 2, rows=3)
    edges = torch.tensor([0, 5, 5, 9])
    y, last = selective_scan_ref(**x, cu_seqlens=edges)
    state = x.pop("initial_state")
    torch.testing.assert_close(last[1], state[1])
    tail = {k: v[:, 5:] if v.ndim == 3 else v for k, v in x.items()}
    y_tail, last_tail = selective_scan_ref(**tail, initial_state=state[2:])
    torch.testing.assert_close(y[:, 5:], y_tail)
    torch.testing.assert_close(last[2:], last_tail)


def test_a_zero_step_leaves_the_state() -> None:
    """A reading with delta 0 (a mask, no time passed) changes neither state nor later outputs."""
    x = scan_arguments(1, 6, 3, 2)
    x["delta"] = F.softplus(x["delta"] + x.pop("delta_bias"))
    x["delta"][:, 3] = 0
    y, last = selective_scan_ref(**x, delta_softplus=False)
    rest = [0, 1, 2, 4, 5]
    state = x.pop("initial_state")
    kept = {k: v[:, rest] if v.ndim == 3 else v for k, v in x.items()}
    y_kept, last_kept = selective_scan_ref(**kept, initial_state=state, delta_softplus=False)
    torch.testing.assert_close(y[:, rest], y_kept)
    torch.testing.assert_close(last, last_kept)


def test_one_step_off_is_far_off() -> None:
    """The measure used everywhere fails a result shifted by one step, by orders of magnitude."""
    x = scan_arguments(2, 65, 4, 4)
    y, _ = selective_scan_ref(**x)
    assert error(y.roll(1, dims=1), y) > 0.1
