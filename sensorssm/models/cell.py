"""The network of a correction as one compiled loop over rows: numpy in and out, no torch.

`SensorSSM` with selective blocks is the definition; this is its forward pass for one asset, written
so that a whole record, a chunk and a single row run the very same arithmetic in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensorssm.config import ModelConfig
from sensorssm.errors import ShapeError

FloatArray = NDArray[np.float32]

_EPS = np.float32(1e-5)  # of the RMS norms, as in the blocks


class Cell(NamedTuple):
    """Weights of a network, blocks stacked first; matrices as (inputs, outputs)."""

    embed: FloatArray
    embed_bias: FloatArray
    norm: FloatArray
    in_proj: FloatArray
    conv: FloatArray
    conv_bias: FloatArray
    x_proj: FloatArray
    dt_proj: FloatArray
    dt_bias: FloatArray
    A: FloatArray
    skip: FloatArray
    out_proj: FloatArray
    norm_f: FloatArray
    head: FloatArray

    @classmethod
    def from_weights(cls, weights: Mapping[str, NDArray[Any]], sizes: ModelConfig) -> Cell:
        """Return the cell of a network's state dict, every shape checked against `sizes`.

        Raises
        ------
        KeyError : a weight is missing.
        ShapeError : a weight has another shape than `sizes` asks for; the loop trusts them.
        """
        dim, inner, state = sizes.dim, sizes.expand * sizes.dim, sizes.state_size
        curves = min(sizes.basis, sizes.horizon) * sizes.targets
        mixer = "blocks.{}.mixer."

        def one(name: str, *shape: int) -> FloatArray:
            found = np.asarray(weights[name], np.float32)
            if found.shape != shape:
                raise ShapeError(f"{name} has shape {found.shape}; wanted {shape}.")
            return np.ascontiguousarray(found.T if len(shape) == 2 else found)

        def each(name: str, *shape: int) -> FloatArray:
            return np.stack([one(name.format(i), *shape) for i in range(sizes.depth)])

        return cls(
            embed=one("embed.weight", dim, sizes.inputs),
            embed_bias=one("embed.bias", dim),
            norm=each("blocks.{}.norm.weight", dim),
            in_proj=each(mixer + "in_proj.weight", 2 * inner, dim),
            conv=each(mixer + "conv1d.weight", inner, 1, sizes.conv_width)[:, :, 0].copy(),
            conv_bias=each(mixer + "conv1d.bias", inner),
            x_proj=each(mixer + "ssm.x_proj.weight", sizes.rank + 2 * state, inner),
            dt_proj=each(mixer + "ssm.dt_proj.weight", inner, sizes.rank),
            dt_bias=each(mixer + "ssm.dt_proj.bias", inner),
            A=-np.exp(each(mixer + "ssm.A_log", inner, state).swapaxes(1, 2).copy()),
            skip=each(mixer + "ssm.D", inner),
            out_proj=each(mixer + "out_proj.weight", dim, inner),
            norm_f=one("norm_f.weight", dim),
            head=one("head.centre.weight", curves, dim),
        )

    def init_state(self) -> dict[str, FloatArray]:
        """Return the state before the first row: conv (P, W - 1, D), ssm (P, D, N), P blocks."""
        blocks, inner, width = self.conv.shape
        return {
            "conv": np.zeros((blocks, width - 1, inner), np.float32),
            "ssm": np.zeros((blocks, inner, self.A.shape[2]), np.float32),
        }

    def run(
        self, x: FloatArray, state: Mapping[str, FloatArray] | None
    ) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Return the head's outputs (n, K M) for rows (n, F) of one asset, and the new state.

        Raises
        ------
        ShapeError : the rows have other columns, or the state is not one of this cell.
        """
        out, new, _ = self._run(x, state, np.empty((0, 0, 0), np.float32))
        return out, new

    def deltas(
        self, x: FloatArray, state: Mapping[str, FloatArray] | None
    ) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Return delta (n, P, D) of every row, block and channel, and the new state; as `run`."""
        blocks, inner = self.dt_bias.shape
        _, new, deltas = self._run(x, state, np.empty((len(x), blocks, inner), np.float32))
        return deltas, new

    def _run(
        self, x: FloatArray, state: Mapping[str, FloatArray] | None, deltas: FloatArray
    ) -> tuple[FloatArray, dict[str, FloatArray], FloatArray]:
        if x.shape[1] != len(self.embed):
            raise ShapeError(f"x has {x.shape[1]} columns; wanted {len(self.embed)}.")
        new = self.init_state()
        for name, value in (state or {}).items():
            if name not in new or value.shape != new[name].shape:
                raise ShapeError(
                    f"the state's {name!r} of shape {value.shape} is not this model's."
                )
            new[name][:] = value
        rows = np.ascontiguousarray(x, np.float32)
        return _fold(self, rows, new["conv"], new["ssm"], deltas), new, deltas


@njit(cache=True)
def _fold(cell, x, conv, ssm, deltas):
    """Run rows `x` through the network, updating `conv` and `ssm` in place.

    `deltas` is (n, P, D), for delta at every row, or empty.
    """
    blocks, dim, twice = cell.in_proj.shape
    inner, state = twice // 2, cell.A.shape[2]
    rank = cell.dt_proj.shape[1]
    h, unit = np.empty(dim, np.float32), np.empty(dim, np.float32)
    both, parts = np.empty(twice, np.float32), np.empty(rank + 2 * state, np.float32)
    u, delta = np.empty(inner, np.float32), np.empty(inner, np.float32)
    out = np.empty((x.shape[0], cell.head.shape[1]), np.float32)
    for t in range(x.shape[0]):
        h[:] = cell.embed_bias
        _add_product(h, x[t], cell.embed)
        for p in range(blocks):
            _normalise(unit, h, cell.norm[p])
            both[:] = 0
            _add_product(both, unit, cell.in_proj[p])
            _convolve(u, both[:inner], conv[p], cell.conv[p], cell.conv_bias[p])
            parts[:] = 0
            _add_product(parts, u, cell.x_proj[p])
            delta[:] = cell.dt_bias[p]
            _add_product(delta, parts[:rank], cell.dt_proj[p])
            if deltas.shape[0] > 0:
                for d in range(inner):
                    deltas[t, p, d] = _softplus(delta[d])
            _select(u, delta, cell.A[p], parts[rank : rank + state], parts[rank + state :], ssm[p])
            for d in range(inner):
                y = delta[d] + cell.skip[p, d] * u[d]
                u[d] = y * _silu(both[inner + d])
            _add_product(h, u, cell.out_proj[p])
        _normalise(unit, h, cell.norm_f)
        out[t] = 0
        _add_product(out[t], unit, cell.head)
    return out


@njit(cache=True)
def _add_product(out, x, matrix):
    for j in range(x.shape[0]):
        for i in range(out.shape[0]):  # the inner loop runs along memory
            out[i] += x[j] * matrix[j, i]


@njit(cache=True)
def _normalise(out, x, weight):
    square = np.float32(0)
    for i in range(x.shape[0]):
        square += x[i] * x[i]
    scale = np.float32(1) / np.sqrt(square / np.float32(x.shape[0]) + _EPS)
    for i in range(x.shape[0]):
        out[i] = x[i] * scale * weight[i]


@njit(cache=True)
def _silu(x):
    return x / (np.float32(1) + np.exp(-x))


@njit(cache=True)
def _softplus(x):
    return x if x > 20 else np.log1p(np.exp(x))


@njit(cache=True)
def _convolve(out, x, past, weight, bias):
    """Convolve the last W rows, `past` and `x`, then move `past` on by one row."""
    kept = past.shape[0]
    for d in range(x.shape[0]):
        total = bias[d] + weight[d, kept] * x[d]
        for w in range(kept):
            total += weight[d, w] * past[w, d]
        out[d] = _silu(total)
        for w in range(kept - 1):
            past[w, d] = past[w + 1, d]
        if kept:
            past[kept - 1, d] = x[d]


@njit(cache=True)
def _select(u, delta, A, B, C, state):
    """Advance the state (D, N) by one row; `delta`, before its softplus, becomes <C, state>."""
    for d in range(u.shape[0]):
        step = _softplus(delta[d])
        total = np.float32(0)
        for n in range(B.shape[0]):
            state[d, n] = np.exp(step * A[d, n]) * state[d, n] + step * u[d] * B[n]
            total += state[d, n] * C[n]
        delta[d] = total
