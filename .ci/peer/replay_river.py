"""Replays the streams of concept_golden.json through river's own detectors.

    python replay_river.py concept_golden.json DETECTOR ...

Ends with an error that lists every detector and stream whose indices differ.
"""

import json
import sys

import river
from river import drift


def hddm_w():
    return getattr(drift.binary, "HDDMW", None) or drift.binary.HDDM_W  # named anew in 0.26


DETECTORS = {
    "ADWIN_reset_after_drift": lambda: drift.ADWIN(),
    "DDM": lambda: drift.binary.DDM(),
    "HDDM_W": lambda: hddm_w()(),
    "HDDM_W_two_sided": lambda: hddm_w()(two_sided_test=True),
}


def drifts(detector, values):
    found = []
    for i, x in enumerate(values):
        detector.update(x)
        if detector.drift_detected:
            found.append(i)
    return found


compared, wrong = 0, []
for stream, s in json.load(open(sys.argv[1]))["streams"].items():
    values = [int(c) for c in s["values"]]
    for name in sys.argv[2:]:
        if name not in s["river_rules"]:
            continue
        want, got = s["river_rules"][name], drifts(DETECTORS[name](), values)
        compared += 1
        if want != got:
            wrong.append(f"{name} on {stream}: the file has {want}, river says {got}")
print(f"river {river.__version__}: {compared} replays compared, {len(wrong)} differ")
sys.exit("\n".join(wrong) or 0)
