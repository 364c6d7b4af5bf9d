"""The registered operator: what torch checks, compiles, exports, batches and casts."""

from __future__ import annotations

import pytest
import torch
import torch._dynamo.testing

from sensorssm_kernels import selective_scan, selective_scan_ref
from sensorssm_kernels.scan_ops import scan_backward_op, scan_op
from tests.kernels.factories import device_of, error, scan_arguments


def leaves_of(arguments):
    return {k: v.detach().clone().requires_grad_() for k, v in arguments.items()}


@pytest.mark.parametrize("form", ["full", "complex"])
def test_opcheck(backend: str, form: str) -> None:
    """Schema, fake tensors, autograd registration and ahead-of-time dispatch agree."""
    x = leaves_of(scan_arguments(2, 9, 6, 4, form=form, device=device_of(backend)))
    torch.library.opcheck(scan_op, (*x.values(), None, None, True, True, backend))


def test_opcheck_of_the_backward(backend: str) -> None:
    """The gradient is an operator too, and obeys the same rules."""
    x = scan_arguments(2, 9, 6, 4, device=device_of(backend))
    y, state, saved = scan_op(*x.values(), None, None, True, True, backend)
    arguments = (y, state, saved, *x.values(), None, None, True, backend)
    torch.library.opcheck(scan_backward_op, arguments)


def test_compile_without_graph_breaks(backend: str) -> None:
    """`torch.compile(fullgraph=True)` gives the eager outputs and gradients."""
    x = scan_arguments(2, 9, 6, 4, device=device_of(backend))

    def loss(**arguments):
        y, state = selective_scan(**arguments, backend=backend)
        return (y * y).sum() + state.sin().sum()

    eager, compiled = leaves_of(x), leaves_of(x)
    loss(**eager).backward()
    torch.compile(loss, fullgraph=True, backend="aot_eager")(**compiled).backward()
    for name in x:
        torch.testing.assert_close(compiled[name].grad, eager[name].grad, msg=name)


def test_export_with_any_length() -> None:
    """`torch.export` keeps the operator in the graph, with the length left open."""

    class Layer(torch.nn.Module):
        def forward(self, u, delta, A, B, C):
            return selective_scan(u, delta, A, B, C)

    names = ("u", "delta", "A", "B", "C")
    x = scan_arguments(2, 9, 5, 4)
    length = torch.export.Dim("length", min=2, max=4096)
    shapes = {k: {1: length} if k not in ("A",) else None for k in names}
    program = torch.export.export(Layer(), tuple(x[k] for k in names), dynamic_shapes=shapes)
    assert "sensorssm.selective_scan" in program.graph_module.code
    longer = scan_arguments(2, 30, 5, 4)
    wanted = selective_scan(*(longer[k] for k in names))
    found = program.module()(*(longer[k] for k in names))
    torch.testing.assert_close(found, wanted)


def test_vmap_over_readings_and_parameters(backend: str) -> None:
    """A batch of models, each with its readings and its rates, equals a loop over them."""
    models = [scan_arguments(2, 6, 6, 4, seed=i, device=device_of(backend)) for i in range(3)]
    stacked = {k: torch.stack([m[k] for m in models]) for k in models[0]}
    names = list(stacked)

    def run(*values):
        return selective_scan(**dict(zip(names, values, strict=True)), backend=backend)

    found = torch.vmap(run)(*stacked.values())
    for i, model in enumerate(models):
        for part, whole in zip(run(*model.values()), found, strict=True):
            torch.testing.assert_close(whole[i], part)


def test_vmap_with_matrices_fixed_in_time() -> None:
    """A matrix of shape (D, N) is no reading: it is not repeated along the batch."""
    x = scan_arguments(2, 6, 3, 2)
    u, B, C = torch.randn(4, 2, 6, 3), torch.randn(3, 2), torch.randn(3, 2)

    def run(u):
        return selective_scan(u, x["delta"], x["A"], B, C, backend="cpu")

    for whole, parts in zip(torch.vmap(run)(u), zip(*map(run, u), strict=True), strict=True):
        torch.testing.assert_close(whole, torch.stack(parts))


def test_vmap_over_output_gradients(backend: str) -> None:
    """The backward under vmap gives one gradient per output gradient, shared rates included."""
    x = scan_arguments(2, 6, 6, 4, device=device_of(backend))
    y, state, saved = scan_op(*x.values(), None, None, True, True, backend)
    seeds = torch.randn(3, *y.shape, device=y.device)

    def run(seed):
        return scan_backward_op(seed, state, saved, *x.values(), None, None, True, backend)

    found = torch.vmap(run)(seeds)
    for i, seed in enumerate(seeds):
        for whole, part in zip(found, run(seed), strict=True):
            torch.testing.assert_close(whole[i], part)


def test_autocast_casts_readings_only(backend: str) -> None:
    """Under autocast readings go down to 16 bits; rates and states stay in float32."""
    device = device_of(backend)
    x = scan_arguments(2, 9, 8, 4, device=device)
    with torch.autocast(device, dtype=torch.bfloat16):
        y, state = selective_scan(**x, backend=backend)
    assert y.dtype == torch.bfloat16
    assert state.dtype == torch.float32
    streams = {k: v.bfloat16() if v.ndim == 3 and k != "initial_state" else v for k, v in x.items()}
    wanted, _ = selective_scan(**streams, backend=backend)
    assert torch.equal(y, wanted)


def test_double_backward_goes_through_the_reference(backend: str) -> None:
    """A gradient penalty on the operator equals that on the definition."""
    x = scan_arguments(2, 6, 6, 4, device=device_of(backend))

    def penalty(function, leaves, **options):
        y, state = function(**leaves, **options)
        grads = torch.autograd.grad(
            (y * y).sum() + state.sin().sum(), list(leaves.values()), create_graph=True
        )
        return torch.autograd.grad(sum((g * g).sum() for g in grads), list(leaves.values()))

    found = penalty(selective_scan, leaves_of(x), backend=backend)
    wanted = penalty(selective_scan_ref, leaves_of(x))
    for name, a, b in zip(x, found, wanted, strict=True):
        assert error(a, b) < 1e-5, name


@pytest.mark.parametrize("backend", ["cpu"])
def test_compiled_length_changes_do_not_recompile_for_ever(backend: str) -> None:
    """A second length makes the length dynamic; a third compiles nothing."""
    counter = torch._dynamo.testing.CompileCounter()

    @torch.compile(fullgraph=True, backend=counter, dynamic=None)
    def run(u, delta, A, B, C):
        return selective_scan(u, delta, A, B, C, backend=backend)

    for length in (5, 6, 7, 8):
        x = scan_arguments(2, length, 5, 4)
        run(*(x[k] for k in ("u", "delta", "A", "B", "C")))
    assert counter.frame_count <= 2


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_a_scan_runs_where_its_tensors_are() -> None:
    """Tensors of another device than the current one are read there, forward and backward."""
    there = leaves_of(scan_arguments(2, 65, 6, 4, device="cuda:1"))
    here = leaves_of(scan_arguments(2, 65, 6, 4, device="cpu"))
    for x in (there, here):
        selective_scan(**x)[0].square().sum().backward()
    for name, x in there.items():
        torch.testing.assert_close(x.grad.cpu(), here[name].grad, rtol=1e-5, atol=1e-5, msg=name)
