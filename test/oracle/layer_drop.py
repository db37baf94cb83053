"""Writes which layers the reference's uniform layer drop keeps, for test/unit/model-split.test.ts: a string of x (kept) and .
(dropped) for every rate and n = 1..128, null where fewer than two layers would be kept.

    python test/oracle/layer_drop.py > test/fixtures/layer-drop.json
"""
import json

RATES = [0, 0.1, 0.2, 0.25, 0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9]


def keep(n, rate):
    count = round(n * (1 - rate))
    if count < 2:
        return None
    stride = (n - 1) / (count - 1)
    kept = {int(i * stride) for i in range(count)}
    assert len(kept) == count
    return "".join("x" if i in kept else "." for i in range(n))


print(json.dumps({str(rate): [keep(n, rate) for n in range(1, 129)] for rate in RATES}, indent=0))
