"""Asks a running servehttp server with tritonclient, NVIDIA's client of the protocol.

usage: peer_check.py HOST:PORT

The server must serve the model "peer" (version 3): inputs "a" FP64 [-1],
"b" FP32 [-1,2], "c" INT64 [-1], "s" BYTES [-1], "t" BOOL [-1]; outputs
"out_a" ... of the same kinds, equal to the inputs.
"""

import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

A = np.array([0.1, -2.5e-300, 1e308])
B = np.array([[0.1, 2], [3, 4], [5, 6]], dtype=np.float32)
C = np.array([-(2**63), 0, 2**63 - 1], dtype=np.int64)
S = np.array(["größer", "", 'a "quoted" \n line'], dtype=object)
T = np.array([True, False, True])


def inputs(binary):
    out = []
    for name, values, kind in (("a", A, "FP64"), ("b", B, "FP32"), ("c", C, "INT64"), ("s", S, "BYTES"), ("t", T, "BOOL")):
        tensor = triton.InferInput(name, list(values.shape), kind)
        tensor.set_data_from_numpy(values, binary_data=binary)
        out.append(tensor)
    return out


def check_values(result):
    np.testing.assert_array_equal(result.as_numpy("out_a"), A)
    np.testing.assert_array_equal(result.as_numpy("out_b"), B)
    np.testing.assert_array_equal(result.as_numpy("out_c"), C)
    np.testing.assert_array_equal(result.as_numpy("out_t"), T)
    texts = [v.decode() if isinstance(v, bytes) else v for v in result.as_numpy("out_s")]
    assert texts == list(S), texts


def refused(call, status, text):
    try:
        call()
    except InferenceServerException as e:
        assert e.status() == status and text in e.message(), (e.status(), e.message())
        return
    raise AssertionError(f"want {status} {text}")


def main():
    client = triton.InferenceServerClient(sys.argv[1])
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("peer") and client.is_model_ready("peer", "3")
    assert not client.is_model_ready("other") and not client.is_model_ready("peer", "4")

    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata("peer")
    assert metadata["versions"] == ["3"], metadata
    assert metadata["inputs"][1] == {"name": "b", "datatype": "FP32", "shape": [-1, 2]}, metadata

    for binary_in in (True, False):
        for binary_out in (True, False):
            wanted = [triton.InferRequestedOutput(f"out_{n}", binary_data=binary_out) for n in "abcst"]
            check_values(client.infer("peer", inputs(binary_in), outputs=wanted, request_id="r1"))
        result = client.infer("peer", inputs(binary_in), model_version="3", request_id="r2")
        check_values(result)
        response = result.get_response()
        assert response["id"] == "r2" and response["model_version"] == "3", response
        assert response["parameters"]["variant"] == "primary", response
    for algorithm in ("gzip", "deflate"):
        check_values(client.infer("peer", inputs(True), request_compression_algorithm=algorithm, response_compression_algorithm=algorithm))
    check_values(client.infer("peer", inputs(False), parameters={"key": "customer 7"}))

    refused(lambda: client.infer("other", inputs(True)), "404", "not served")
    refused(lambda: client.infer("peer", inputs(True)[:4]), "400", 'input "t" is missing')
    refused(lambda: client.get_model_metadata("other"), "404", "not served")
    print("ok")


if __name__ == "__main__":
    main()
