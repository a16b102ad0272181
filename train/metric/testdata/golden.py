"""Writes golden.json: what scikit-learn, scipy and statsmodels say about small
seeded cases. Run it with the versions that the file itself records:

    python golden.py > golden.json
"""

import json
import sys

import numpy as np
import scipy
import scipy.stats
import sklearn
import statsmodels
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint


def delong_variance(y, score):
    """DeLong, DeLong and Clarke-Pearson (1988), equations as printed: every pair."""
    pos, neg = score[y == 1], score[y == 0]
    kernel = (pos[:, None] > neg[None, :]) + 0.5 * (pos[:, None] == neg[None, :])
    v10, v01 = kernel.mean(axis=1), kernel.mean(axis=0)
    return v10.var(ddof=1) / len(pos) + v01.var(ddof=1) / len(neg)


def macro_variance(y, p):
    """Leave-one-out jackknife of the macro one-vs-rest area."""
    n = len(y)
    loo = np.array([
        roc_auc_score(np.delete(y, i), np.delete(p, i, axis=0), multi_class="ovr", average="macro")
        for i in range(n)
    ])
    return (n - 1) / n * ((loo - loo.mean()) ** 2).sum()


def brier(y, p):
    onehot = np.eye(p.shape[1])[y]
    total = ((p - onehot) ** 2).sum(axis=1)
    return total / 2 if p.shape[1] == 2 else total


def mean_interval(x):
    half = scipy.stats.norm.ppf(0.975) * x.std(ddof=1) / np.sqrt(len(x))
    return [float(x.mean() - half), float(x.mean() + half)]


def case(name, y, p):
    k = p.shape[1]
    pred = p.argmax(axis=1)
    hits = int((pred == y).sum())
    losses = -np.log(np.clip(p[np.arange(len(y)), y], 2.0**-52, 1 - 2.0**-52))
    if k == 2:
        auc, var = roc_auc_score(y, p[:, 1]), delong_variance(y, p[:, 1])
    else:
        auc, var = roc_auc_score(y, p, multi_class="ovr", average="macro"), macro_variance(y, p)
    return {
        "name": name,
        "classes": k,
        "labels": y.tolist(),
        "probabilities": p.ravel().tolist(),
        "accuracy": accuracy_score(y, pred),
        "accuracy_wilson": list(proportion_confint(hits, len(y), 0.05, "wilson")),
        "accuracy_wilson_99": list(proportion_confint(hits, len(y), 0.01, "wilson")),
        "log_loss": log_loss(y, p, labels=list(range(k))),
        "log_loss_normal": mean_interval(losses),
        "auc": float(auc),
        "auc_variance": float(var),
        "brier": float(brier(y, p).mean()),
        "brier_normal": mean_interval(brier(y, p)),
    }


def binary(rng, n, strength, digits):
    y = rng.integers(0, 2, n)
    logit = strength * (y - 0.5) + rng.normal(size=n)
    p1 = np.round(1 / (1 + np.exp(-logit)), digits)
    return y, np.column_stack([1 - p1, p1])


def multi(rng, n, k, digits):
    y = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k)) + 1.2 * np.eye(k)[y]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    p = np.floor(p * 10**digits) / 10**digits  # down, so that the rest is not negative
    p[:, -1] = 1 - p[:, :-1].sum(axis=1)
    return y, p


def mcnemar_case(b, c):
    table = [[10, b], [c, 5]]
    n, k = b + c, min(b, c)
    exact = mcnemar(table, exact=True).pvalue
    mid = exact - scipy.stats.binom.pmf(k, n, 0.5)
    return {"only_a": b, "only_b": c, "exact": float(exact), "mid_p": float(mid)}


rng = np.random.default_rng(20261123)
certain = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.25, 0.75], [0.75, 0.25], [0.5, 0.5]])
json.dump({
    "versions": {
        "python": sys.version.split()[0], "numpy": np.__version__, "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__, "statsmodels": statsmodels.__version__,
    },
    "cases": [
        case("binary", *binary(rng, 120, 1.5, 6)),
        case("binary with many ties", *binary(rng, 90, 1.0, 1)),
        case("binary worse than chance", *binary(rng, 60, -1.5, 3)),
        case("probabilities of 0 and 1, some on the wrong class", np.array([0, 1, 1, 1, 0, 0]), certain),
        case("three classes", *multi(rng, 90, 3, 4)),
        case("five classes with ties", *multi(rng, 100, 5, 1)),
    ],
    "mcnemar": [mcnemar_case(b, c) for b, c in [(1, 0), (5, 1), (12, 3), (7, 8), (40, 61), (400, 481)]],
}, sys.stdout, indent=1)
