"""Recomputes drift_golden.json with this environment's scipy and statsmodels.

    python recompute.py drift_golden.json

Rebuilds every sample from its specification, and compares what mlloop's tests
use of the file. Ends with an error that lists every number that differs by more
than a relative 1e-9.
"""

import json
import math
import sys

import numpy as np
import scipy.spatial.distance
import scipy.stats
from statsmodels.stats.multitest import multipletests

golden = json.load(open(sys.argv[1]))
compared, wrong = 0, []


def same(what, want, got, rel=1e-9):
    global compared
    compared += 1
    want, got = float(want), float(got)
    if not (want == got or math.isclose(want, got, rel_tol=rel, abs_tol=1e-12) or math.isnan(want) and math.isnan(got)):
        wrong.append(f"{what}: the file has {want!r}, scipy says {got!r}")


def draws(seed):
    mask = 2**64 - 1
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = seed
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        yield ((z ^ (z >> 31)) >> 11) * 2.0**-53


def draw(spec, u, i):
    kind, scale = spec["kind"], spec.get("scale", 1)
    if kind in ("normal12", "mix2"):
        total = 0.0
        for _ in range(12):
            total += next(u)
        v = spec.get("loc", 0) + scale * (total - 6)
        return v if kind == "normal12" else v + (spec["sep"] if i % 2 else -spec["sep"])
    if kind == "uniform":
        return spec["lo"] + (spec["hi"] - spec["lo"]) * next(u)
    if kind == "expon":
        return -math.log1p(-next(u)) * scale
    if kind == "randint":
        return math.floor(next(u) * spec["k"])
    return spec["value"]


def sample(spec):
    """The finite values of a specification."""
    if spec["kind"] == "inline":
        x = np.array([math.nan if v is None else float(v) for v in spec["values"]])
    else:
        u = draws(spec.get("seed", 0))
        x = np.array([draw(spec, u, i) for i in range(spec["n"])], float)
        if m := spec.get("round_to"):
            x = np.floor(x * m + 0.5) / m
    if k := spec.get("nan_every"):
        x[spec.get("nan_phase", 0) :: k] = math.nan
    if k := spec.get("inf_every"):
        x[1::k] = math.inf
    return x[np.isfinite(x)]


def filled(p):
    low = p[p > 0].min()
    return np.where(p == 0, 1e-4 if low > 1e-4 else low / 1e6, p)


def psi(p, q):
    return ((p - q) * np.log(p / q)).sum()


def divergences(what, want, ref, cur):
    ref, cur = np.asarray(ref, float), np.asarray(cur, float)
    p, q, k = ref / ref.sum(), cur / cur.sum(), len(ref)
    same(what + "js", want["js_distance_base_e"], scipy.spatial.distance.jensenshannon(p, q))
    same(what + "hellinger", want["hellinger"], np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum() / 2))
    same(what + "tvd", want["tvd"], np.abs(p - q).sum() / 2)
    same(what + "psi filled", want["psi_evidently_fill"], psi(filled(p), filled(q)))
    same(what + "psi floor", want["psi_floor_1e-4"], psi(np.maximum(p, 1e-4), np.maximum(q, 1e-4)))
    laplace = [(c + 0.5) / (c.sum() + 0.5 * k) for c in (ref, cur)]
    same(what + "psi laplace", want["psi_laplace_0.5"], psi(*laplace))


def numeric(case):
    name, want = case["name"] + ": ", case["expect"]
    ref, cur = sample(case["ref"]), sample(case["cur"])
    same(name + "n of ref", case["n_ref"], len(ref))
    same(name + "n of cur", case["n_cur"], len(cur))
    if case["n_ref"] == 0 or case["n_cur"] == 0:
        return
    same(name + "sum of ref", case["check_ref"]["sum"], ref.sum())
    same(name + "W1", want["wasserstein_1"], scipy.stats.wasserstein_distance(ref, cur))
    ks = want.get("ks_2samp")
    if ks:
        got = scipy.stats.ks_2samp(ref, cur, method="asymp")
        same(name + "KS", ks["statistic"], got.statistic)
        n = len(ref) * len(cur) / (len(ref) + len(cur))
        same(name + "KS limit", ks["p_kolmogorov_limit"], scipy.stats.kstwobign.sf(np.sqrt(n) * got.statistic))
        if ks.get("p_exact") is not None:
            same(name + "KS exact", ks["p_exact"], scipy.stats.ks_2samp(ref, cur, method="exact").pvalue, 1e-8)
    for binning, b in (want.get("binned") or {}).items():
        divergences(f"{name}{binning}: ", b, b["counts_ref"], b["counts_cur"])


def categorical(case):
    name, want = case["name"] + ": ", case["expect"]
    table = np.array([case["counts_ref"], case["counts_cur"]])
    chi = want["chi2_contingency"]
    used = table[:, table.sum(axis=0) > 0]
    if used.shape[1] > 1:
        with np.errstate(divide="ignore"):  # one column only
            got = scipy.stats.chi2_contingency(used, correction=False)
        same(name + "chi2", chi["statistic"], got.statistic)
        same(name + "chi2 p", chi["p"], got.pvalue)
    divergences(name, want["div"], *table)


for case in golden["cases"]:
    numeric(case) if case["type"] == "numeric" else categorical(case)
p = golden["multiple_testing"]["p"]
for method, want in golden["multiple_testing"]["methods"].items():
    adjusted = multipletests(p, 0.05, method)[1]
    for i, (w, g) in enumerate(zip(want["p_adjusted"], adjusted, strict=True)):
        same(f"{method}[{i}]", w, g)
for x, want in golden["special_functions"]["kstwobign_sf"]:
    same(f"kstwobign {x}", want, scipy.stats.kstwobign.sf(x))
for x, k, want in golden["special_functions"]["chi2_sf"]:
    same(f"chi2 {x} {k}", want, scipy.stats.chi2.sf(x, k))

print(f"scipy {scipy.__version__}: {compared} numbers compared, {len(wrong)} differ")
sys.exit("\n".join(wrong) or 0)
