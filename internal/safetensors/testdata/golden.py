"""Writes golden.safetensors with the reference implementation.

    pip install safetensors==0.8.0 numpy==2.4.6
    python golden.py golden.safetensors
"""

import sys

import numpy as np
from safetensors.numpy import save_file

save_file(
    {
        "bool": np.array([True, False, True]),
        "u8": np.array([0, 1, 255], np.uint8),
        "i8": np.array([-128, 0, 127], np.int8),
        "i16": np.array([-32768, 32767], np.int16),
        "u16": np.array([0, 65535], np.uint16),
        "i32": np.array([-(2**31), 2**31 - 1], np.int32),
        "u32": np.array([0, 2**32 - 1], np.uint32),
        "f32": np.array([[1.5, -0.1, np.inf]], np.float32),
        "i64": np.array([-(2**63), 2**63 - 1], np.int64),
        "u64": np.array([0, 2**64 - 1], np.uint64),
        "dense.0.weight": np.array([[0.1, -2.5, 1e-300], [np.nan, np.inf, -np.inf]], np.float64),
        'name "with" <marks> & \u00e9 \U0001f600': np.array([1.0]),
        "scalar": np.array(3.25),
        "empty": np.zeros((0, 3)),
    },
    sys.argv[1],
    metadata={"format": 'mlloop <1> "\u00e9"'},
)
