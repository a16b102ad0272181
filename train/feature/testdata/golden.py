"""Writes golden.json: what scikit-learn's SimpleImputer, StandardScaler and
OneHotEncoder learn from a seeded table and make of later rows. Run it with the
versions that the file itself records:

    python golden.py > golden.json
"""

import json
import sys

import numpy as np
import sklearn
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

rng = np.random.default_rng(20261123)
TRAIN, LATER = 61, 20
n = TRAIN + LATER


def some_missing(x, share):
    return [None if m else v for v, m in zip(x, rng.random(n) < share)]


numeric = {
    "price": some_missing(np.round(rng.lognormal(size=n), 4).tolist(), 0.2),
    "far_from_zero": (1e9 + rng.normal(size=n)).tolist(),
    "tiny": (1e-9 * rng.normal(size=n)).tolist(),
    # 0.1 has no exact mean: the deviation that rounding leaves must not be divided by.
    "constant": [0.1] * TRAIN + [0.3] * LATER,
    "nearly_constant": [1e8 + 1e-8 * (i % 2) for i in range(TRAIN)] + [1e8 + 1] * LATER,
    "count": some_missing([int(v) for v in rng.integers(-50, 50, n)], 0.1),
}
categorical = {
    "region": some_missing([str(v) for v in rng.choice(["NSW", "VIC", "QLD", "été"], n)], 0.15),
    "month": [int(v) for v in rng.integers(-3, 13, n)],
}
categorical["region"][TRAIN + 1] = "TAS"  # not among the training rows
categorical["month"][TRAIN + 2] = 99

out = {"versions": {"python": sys.version.split()[0], "numpy": np.__version__, "scikit-learn": sklearn.__version__},
       "train": TRAIN, "columns": []}
for name, values in numeric.items():
    x = np.array([np.nan if v is None else v for v in values])[:, None]
    imputer = SimpleImputer(strategy="median").fit(x[:TRAIN])
    scaler = StandardScaler().fit(imputer.transform(x[:TRAIN]))
    out["columns"].append({
        "name": name, "kind": "int64" if name == "count" else "float64", "values": values,
        "fill": imputer.statistics_[0], "mean": scaler.mean_[0], "std": scaler.scale_[0],
        "transformed": scaler.transform(imputer.transform(x)).tolist(),
    })
for name, values in categorical.items():
    x = np.array([np.nan if v is None else v for v in values], dtype=object)[:, None]
    imputer = SimpleImputer(strategy="most_frequent").fit(x[:TRAIN])
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(imputer.transform(x[:TRAIN]))
    out["columns"].append({
        "name": name, "kind": "string" if name == "region" else "int64", "values": values,
        "fill": str(imputer.statistics_[0]), "categories": [str(c) for c in encoder.categories_[0]],
        "transformed": encoder.transform(imputer.transform(x)).tolist(),
    })
json.dump(out, sys.stdout)
print()
