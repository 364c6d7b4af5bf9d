"""The compiled loops of `sensorssm.models.reach`, in one file: numba's cache watches only one."""

from __future__ import annotations

import math

from numba import njit

#: How far from 1 the share that comes true may be expected to be, before anything was judged.
DOUBT = 0.3
#: Moves and changes further than this many usual changes count as if they were as far.
FARTHEST = 10.0
#: A move further than this many usual moves is unheard of.
UNHEARD = 4.0


@njit(cache=True, nogil=True)
def judge(
    values, slots, last, knots, rows, keep, noise, usual, points, moves, lasts, moved, told, out
):  # fmt: skip
    """Fold `Reach.advance` over the rows; shapes as there, the state is overwritten."""
    room = len(moved)
    for t in range(len(values)):
        for k in range(len(knots)):
            made = slots[t] - knots[k]
            place = int(made) % room
            if made < 0.0 or moved[place] != made:
                continue
            for c in range(values.shape[1]):
                move, change = moves[place, c, k], values[t, c] - lasts[place, c]
                if move != 0.0 and math.isfinite(change):
                    far = max(move * move, change * change)
                    most = FARTHEST * FARTHEST * usual[2, c, k]
                    weight = most / far if far > most else 1.0
                    unheard = move * move > UNHEARD * UNHEARD * usual[1, c, k]
                    for i, square in enumerate((weight * move * change, weight * move * move)):
                        told[i, c, k] = keep[k] * told[i, c, k] + square
                        told[2 + i, c, k] = keep[k] * told[2 + i, c, k] + unheard * square
        weigh(told, noise, knots, rows, out[t])
        if slots[t] < 0.0:
            continue
        place = int(slots[t]) % room
        moved[place] = slots[t]
        for c in range(values.shape[1]):
            lasts[place, c] = last[t, c]
            read = math.isfinite(values[t, c])
            for k in range(len(knots)):
                move = points[t, c, k] - last[t, c]
                share = _share(out[t, c, k, 0], out[t, c, k, 1])
                points[t, c, k] = last[t, c] + share * move
                # A forecast made without a reading is not judged, as none is where a row was dropped.
                moves[place, c, k] = move if read else 0.0


@njit(cache=True, nogil=True)
def weigh(told, noise, knots, rows, out):
    """Write the sums (M, K, 2) per remembered row, with the belief that all moves come true."""
    for c in range(out.shape[0]):
        for i in range(2):
            unheard = 0.0
            for k in range(len(knots)):
                before = 1.0 / DOUBT**2 + unheard
                out[c, k, i] = (told[i, c, k] + noise[c, k] * before) / rows[k]
                if noise[c, k] > 0.0:
                    unheard += told[2 + i, c, k] / noise[c, k]
                unheard *= knots[k] / knots[min(k + 1, len(knots) - 1)]


@njit(cache=True, nogil=True)
def _share(came_true, moved):
    return min(max(came_true / moved, 0.0), 1.0) if moved > 0.0 else 1.0


@njit(cache=True, nogil=True)
def follow(point, last, waited, weighed, knots):
    """Hold every step of (n, H, M) back by what is told on the line between the knots around it.

    The sums lie on that line, not their ratio: a step where forecasts hardly move, such as a whole
    season ahead, tells little of its neighbours.
    """
    for n in range(point.shape[0]):
        for c in range(point.shape[2]):
            k = 0
            for h in range(point.shape[1]):
                ahead = h + 1 + waited[n, c]
                if ahead > knots[-1]:
                    break  # no forecast so far ahead was judged
                while k < len(knots) - 1 and ahead > knots[k]:
                    k += 1
                low = max(k - 1, 0)
                span = knots[k] - knots[low]
                part = (ahead - knots[low]) / span if span > 0 else 1.0
                before, after = weighed[n, c, low], weighed[n, c, k]
                share = _share(
                    (1.0 - part) * before[0] + part * after[0],
                    (1.0 - part) * before[1] + part * after[1],
                )
                if share < 1.0:
                    point[n, h, c] = last[n, c] + share * (point[n, h, c] - last[n, c])
