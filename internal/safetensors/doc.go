// Package safetensors reads and writes tensors in the safetensors format, the
// one that Python's safetensors package uses:
//
//	weights, err := safetensors.New([]float64{1, 2, 3, 4}, 2, 2)
//	data, err := safetensors.Encode(safetensors.File{
//		Tensors: map[string]safetensors.Tensor{"dense.weight": weights},
//	})
//	file, err := safetensors.Decode(data)
//	values, err := safetensors.Values[float64](file.Tensors["dense.weight"])
//
// A file is eight bytes with the header's length N (unsigned, little-endian),
// N bytes of JSON, and the tensors' elements, little-endian and row-major. The
// header names each tensor's dtype, shape and place, and under "__metadata__"
// free strings. The places tile the rest of the file without a hole or overlap.
// The format is described at https://github.com/huggingface/safetensors#format.
//
// Equal files encode to equal bytes, so that a digest of them is an identity.
package safetensors
