"""Writes golden.json: what numpy and scipy say about small seeded cases, by the
formulas as printed rather than by the package's way. Run it with the versions
that the file itself records:

    python golden.py > golden.json
"""

import json
import sys

import numpy as np
import scipy
import scipy.stats


def delong_difference(y, a, b):
    """DeLong, DeLong and Clarke-Pearson (1988): every pair, 2x2 covariance."""
    v10, v01 = [], []
    for s in (a, b):
        pos, neg = s[y == 1], s[y == 0]
        k = (pos[:, None] > neg[None, :]) + 0.5 * (pos[:, None] == neg[None, :])
        v10.append(k.mean(axis=1))
        v01.append(k.mean(axis=0))
    cov = np.cov(v10) / len(v10[0]) + np.cov(v01) / len(v01[0])
    return {
        "difference": float(v10[0].mean() - v10[1].mean()),
        "variance": float(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]),
        "positives": int((y == 1).sum()),
    }


def batch(x, blocks):
    """Variance of the mean of equal batches, which numpy takes apart itself."""
    return float(scipy.stats.sem(x.reshape(blocks, -1).mean(axis=1)) ** 2)


BETS = np.array([0, 0.01, 0.03, 0.08, 0.16, 0.3, 0.5, 0.75, 0.95])


def wealth(d, margin):
    """Fixed share over the stakes, each stake's wealth in money, not logs."""
    money = np.full(len(BETS), 1 / len(BETS))
    for t, x in enumerate(d, 1):
        money = money * (1 + BETS / (1 + margin) * (x - margin))
        part = 1 / (t + 10)
        money = (1 - part) * money + part * money.sum() / len(BETS)
    return float(np.log(money.sum()))


def bernstein(d, alpha):
    """Waudby-Smith and Ramdas (2024), theorem 2 and equations 14 and 15, on (1+d)/2;
    psi_E(l) = (-log(1-l)-l)/4 and (v = 4(x-mu)^2); one-sided alpha."""
    x = (1 + d) / 2
    t = np.arange(1, len(x) + 1)
    mu = (0.5 + np.cumsum(x)) / (t + 1)
    mu_before = np.concatenate([[0.5], mu[:-1]])
    var = (0.25 + np.cumsum((x - mu) ** 2)) / (t + 1)
    var_before = np.concatenate([[0.25], var[:-1]])
    lam = np.minimum(0.5, np.sqrt(2 * np.log(1 / alpha) / (var_before * t * np.log(1 + t))))
    middle = (lam * x).sum() / lam.sum()
    half = (np.log(1 / alpha) + (4 * (x - mu_before) ** 2 * (-np.log(1 - lam) - lam) / 4).sum()) / lam.sum()
    return [float(2 * (middle - half) - 1), float(2 * (middle + half) - 1)]


rng = np.random.default_rng(20261124)
y = rng.integers(0, 2, 150)
latent = 1.2 * y + rng.normal(size=150)
a = np.round(1 / (1 + np.exp(-(latent + 0.5 * rng.normal(size=150)))), 2)
b = np.round(1 / (1 + np.exp(-(latent + 0.9 * rng.normal(size=150)))), 2)
series = np.zeros(512)
for i in range(1, 512):
    series[i] = 0.7 * series[i - 1] + rng.normal()
paired = rng.normal(0.02, 0.3, 60)
d = rng.choice([-1.0, 0.0, 1.0], size=300, p=[0.05, 0.75, 0.2])
half = 1 / np.sqrt(len(paired)) * paired.std(ddof=1) * scipy.stats.t.ppf(0.95, len(paired) - 1)
json.dump({
    "versions": {"python": sys.version.split()[0], "numpy": np.__version__, "scipy": scipy.__version__},
    "delong": {"labels": y.tolist(), "a": a.tolist(), "b": b.tolist(), **delong_difference(y, a, b)},
    "batch": {"series": series.tolist(), "variance": {str(k): batch(series, k) for k in (512, 64, 32, 16, 8)}},
    "student": {"series": paired.tolist(), "low": float(paired.mean() - half), "high": float(paired.mean() + half)},
    "betting": {"rounds": d.tolist(), "margin": 0.01, "log_wealth": wealth(d, 0.01), "alpha": 0.05, "bernstein": bernstein(d, 0.05)},
}, sys.stdout, indent=1)
