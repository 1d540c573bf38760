"""A noisy curve as a line that can be read, and as few points as can be seen.

Shapes: N values of a curve.
"""

import numpy as np
import numpy.typing as npt

WIDTHS_PER_CURVE = 40
"""The smoothed line looks at one part in so many of a curve, to either side."""

_UNDETERMINED = 1e-6

Curve = npt.NDArray[np.float64]


def smoothed(values_N: Curve) -> Curve:
    """At each value, the height of the straight line that fits it and its neighbours best.

    The neighbours' squared distances from the line have the weights

        w_j = r^|t - j|,    r = exp(-1 / width),    width = N / 40

    for the finite values x_j. With S_k = sum w_j (j - t)^k and T_k = sum w_j (j - t)^k x_j that is

        y_t = (S_2 T_0 - S_1 T_1) / (S_0 S_2 - S_1^2)

    and the mean T_0 / S_0 where no line is determined. Looking to both sides it does not lag behind the
    curve, and a line keeps the slope at the ends. Of 20 values and fewer it is nearly the curve itself.
    Source: local linear regression, Cleveland 1979, doi:10.1080/01621459.1979.10481038.
    """
    finite = np.isfinite(values_N)
    ratio = float(np.exp(-WIDTHS_PER_CURVE / max(1, len(values_N))))
    places = np.arange(len(values_N)) - len(values_N) / 2
    weights, values = finite.astype(float), np.where(finite, values_N, 0.0)
    w0, w1, w2 = (_both_sides(weights * places**k, ratio) for k in range(3))
    x0, x1 = (_both_sides(values * places**k, ratio) for k in range(2))
    s1, s2, t1 = w1 - places * w0, w2 - 2 * places * w1 + places**2 * w0, x1 - places * x0
    determinant = w0 * s2 - s1**2
    with np.errstate(invalid="ignore", divide="ignore"):
        line = (s2 * x0 - s1 * t1) / determinant
        return np.where(determinant > _UNDETERMINED * w0**2, line, x0 / w0)


def visible_places(values_N: Curve, num_columns: int) -> npt.NDArray[np.int64]:
    """Where the points are that make the picture of a curve: the lowest and highest of each column.

    All of them where there are no more than two a column. So spikes are kept, however narrow.
    """
    count = len(values_N)
    if count <= 2 * num_columns:
        return np.arange(count, dtype=np.int64)
    edges = np.linspace(0, count, num_columns + 1).astype(np.int64)
    low = np.where(np.isfinite(values_N), values_N, np.inf)
    high = np.where(np.isfinite(values_N), values_N, -np.inf)
    places = {0, count - 1}
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        places |= {start + int(low[start:end].argmin()), start + int(high[start:end].argmax())}
    return np.array(sorted(places), dtype=np.int64)


def _both_sides(values_N: Curve, ratio: float) -> Curve:
    """sum_j ratio^|t - j| x_j for every t, by a pass in each direction."""
    return _one_side(values_N, ratio) + _one_side(values_N[::-1], ratio)[::-1] - values_N


def _one_side(values_N: Curve, ratio: float) -> Curve:
    total, sums = 0.0, []
    for value in values_N.tolist():
        total = ratio * total + value
        sums.append(total)
    return np.array(sums)
