"""Checks the result of go run ./examples/electricity -json, and with a second file that it is the same.

Bounds are those of one seed: a little wider than what the mean over seeds must reach.
Time is only shown: it says more about the machine than about the program.
"""

import json
import sys

TEST_ROWS = 45_312 - 8_712  # the rows replayed when -rows does not say fewer
LABEL_DELAY = 48
KEYS = """rows frozen_accuracy loop_accuracy calendar_accuracy fortnight_accuracy yesterday_accuracy
loop_minus_calendar_low loop_minus_calendar_high alerts alerts_before_widening first_widening_alert_rows retrains
promotions rejections rollbacks inconclusive canaries_judged canaries_unjudged predictions_logged labels_joined seconds peak_rss_mb""".split()

result = json.load(open(sys.argv[1]))
for key in KEYS:
    print(f"  {key:28} {result.get(key, 'MISSING')}")
if missing := [k for k in KEYS if k not in result]:
    sys.exit(f"keys are missing: {missing}")

r = result
checks = [
    (r["rows"] == TEST_ROWS, f"rows is {TEST_ROWS}"),
    (r["frozen_accuracy"] >= 0.725, "frozen_accuracy is at least 0.725"),
    (r["loop_accuracy"] >= 0.75, "loop_accuracy is at least 0.75"),
    (r["loop_accuracy"] > r["frozen_accuracy"], "the loop beats the frozen model"),
    (0.65 < r["yesterday_accuracy"] < 0.67, "same as yesterday is right on 0.660 of the rows"),
    (r["loop_minus_calendar_low"] <= r["loop_accuracy"] - r["calendar_accuracy"] <= r["loop_minus_calendar_high"],
     "the interval holds the difference"),
    (1 <= r["retrains"] <= 27, "retrains is between 1 and 27"),
    (r["retrains"] - 1 <= r["promotions"] + r["rejections"] + r["rollbacks"] + r["inconclusive"] <= r["retrains"],
     "every retraining comes to an end, but for one that is under way"),
    (r["promotions"] <= r["canaries_judged"] + r["canaries_unjudged"] <= r["retrains"], "every canary is judged by labels or reported as unjudged"),
    (r["canaries_judged"] > r["canaries_unjudged"], "most canaries are judged by labels"),
    (0 <= r["first_widening_alert_rows"] <= 336, "the widening is seen within 336 rows"),
    (r["alerts_before_widening"] <= 4, "at most 4 alerts before the widening"),
    (r["predictions_logged"] == r["rows"], "every row is logged once"),
    (r["labels_joined"] == r["rows"] - LABEL_DELAY, "every label that came is joined once"),
    (r["peak_rss_mb"] < 300, "under 300 MB of memory"),
]
if len(sys.argv) > 2:
    other = json.load(open(sys.argv[2]))
    checks += [(r[k] == other.get(k), f"{k} is {other.get(k)}, as in {sys.argv[2]}") for k in KEYS if k not in ("seconds", "peak_rss_mb")]
failed = [text for ok, text in checks if not ok]
print(f"{len(KEYS)} keys, {len(checks) - len(failed)} of {len(checks)} checks hold")
if len(sys.argv) == 2 and r["seconds"] >= 60:
    print(f"WARNING: {r['seconds']} s; on 2 idle cores it takes less than 60")
for text in failed:
    print("does not hold:", text)
sys.exit(1 if failed else 0)
