"""What a detector remembers of one asset, row by row, and the forecast that it reads from there.

Compiled callees of `sensorssm.scoring.advance`, which says what to do after an edit here.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from sensorssm.scoring.cell import HEAD, SEEN, Cell

FloatArray = NDArray[np.float64]

CLIP = 50.0  # a scaled reading beyond this says no more, and must not fill the memory


@numba.njit(cache=True)
def parts_of(
    cell: Cell, state: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return views of a state row: memory (F,), blame (M,), energy (E,) and shift (3, M)."""
    tags = cell.center.size
    at = HEAD + tags * (cell.lags + cell.decay.size) + 1
    memory = state[HEAD:at]
    blame = state[at : at + tags]
    at += tags
    energy = state[at : at + cell.energy_gain.size]
    at += energy.size
    return memory, blame, energy, state[at : at + 3 * tags].reshape((3, tags))


@numba.njit(cache=True)
def remember(
    memory: FloatArray, z: FloatArray, lags: int, decay: FloatArray, seen: float, elapsed: float
) -> None:
    """Take the scaled row `z` into `memory`, in place.

    The averages start as plain means, so a new asset does not wait for the slowest of them. After
    a gap longer than the lags, the rows before it are forgotten and the averages have decayed.
    """
    tags = z.size
    if seen == 0.0 or elapsed > lags + 0.5:
        for lag in range(lags):
            memory[lag * tags : (lag + 1) * tags] = z
    else:
        for i in range(lags * tags - 1, tags - 1, -1):
            memory[i] = memory[i - tags]
        memory[:tags] = z
    at = lags * tags
    for k in range(decay.size):
        kept = decay[k] if elapsed == 1.0 else decay[k] ** elapsed
        gain = max(1.0 - kept, 1.0 / (seen + 1.0))
        for i in range(tags):
            memory[at + i] += gain * (z[i] - memory[at + i])
        at += tags
    memory[at] = 1.0


@numba.njit(cache=True)
def read_out(rows: FloatArray, first: int, matrix: FloatArray, out: FloatArray) -> None:
    """Add ``rows @ matrix[first : first + rows.size]`` to `out`; column order, so SIMD is exact."""
    for f in range(rows.size):
        value = rows[f]
        for i in range(out.size):
            out[i] += value * matrix[first + f, i]


@numba.njit(cache=True)
def foresee(cell: Cell, memory: FloatArray, x: FloatArray, z: FloatArray, out: FloatArray) -> None:
    """Scale the row `x` into `z`, NaN = missing, and write the forecast of it into `out`."""
    for i in range(x.size):
        z[i] = np.nan
        if np.isfinite(x[i]):
            z[i] = min(max((x[i] - cell.center[i]) / cell.scale[i], -CLIP), CLIP)
    out[:] = 0.0
    read_out(memory, 0, cell.forecast, out)
    for i in range(out.size):
        out[i] = min(max(out[i], -CLIP), CLIP)


@numba.njit(cache=True)
def fill_missing(cell: Cell, residual: FloatArray, z: FloatArray) -> None:
    """Put what the other tags' residuals say into the missing ones (two Gauss-Seidel sweeps).

    The filled residual minimises ``r @ P @ r``, whose minimum is the norm under the covariance
    of the tags that are present.
    """
    for _ in range(2):
        for m in range(residual.size):
            if np.isnan(z[m]) and cell.precision[m, m] > 0.0:
                total = 0.0
                for j in range(residual.size):
                    total += cell.precision[m, j] * residual[j]
                own = cell.precision[m, m]
                residual[m] -= total / own


@numba.njit(cache=True, nogil=True)
def memories(
    cell: Cell, state: FloatArray, rows: FloatArray, elapsed: FloatArray, out: FloatArray
) -> None:
    """Write the memory after each row, (n, F), with the last value held where one is missing.

    This is the memory that the coefficients are fitted on, before there is a forecast to fill with.
    """
    memory = parts_of(cell, state)[0]
    z = np.empty(rows.shape[1])
    for t in range(rows.shape[0]):
        for i in range(z.size):
            if np.isfinite(rows[t, i]):
                z[i] = min(max((rows[t, i] - cell.center[i]) / cell.scale[i], -CLIP), CLIP)
            else:
                z[i] = memory[i]
        remember(memory, z, cell.lags, cell.decay, state[SEEN], elapsed[t])
        state[SEEN] += 1.0
        out[t] = memory


@numba.njit(cache=True, nogil=True)
def residuals(
    cell: Cell, state: FloatArray, rows: FloatArray, elapsed: FloatArray, out: FloatArray
) -> None:
    """Write the residual of the forecast of each row, (n, M), NaN = missing."""
    memory = parts_of(cell, state)[0]
    tags = rows.shape[1]
    z, guess = np.empty(tags), np.empty(tags)
    for t in range(rows.shape[0]):
        seen = state[SEEN]
        known = seen > 0.0 and elapsed[t] <= cell.lags + 0.5
        foresee(cell, memory, rows[t], z, guess)
        for i in range(tags):
            out[t, i] = z[i] - guess[i] if known else np.nan
            z[i] = guess[i] if np.isnan(z[i]) else z[i]
        remember(memory, z, cell.lags, cell.decay, seen, elapsed[t])
        state[SEEN] = seen + 1.0
