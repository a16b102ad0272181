package servehttp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/frame"
)

// held returns the bytes of data and strings that a request keeps between uses.
func held(q *inferRequest) int {
	n := len(q.scan.b) + cap(q.scan.scratch)
	for _, t := range q.inputs[:cap(q.inputs)] {
		n += len(t.Name)
		switch d := t.Data.(type) {
		case []float64:
			n += 8 * cap(d)
		case []uint8:
			n += cap(d)
		case []string:
			for _, s := range d[:cap(d)] {
				n += 16 + len(s)
			}
		}
	}
	for _, name := range q.names[:cap(q.names)] {
		n += len(name)
	}
	for _, w := range q.outputs[:cap(q.outputs)] {
		n += len(w.name)
	}
	return n
}

// pooled decodes and gives back, and returns what is kept.
func pooled(t *testing.T, r *requests, q *inferRequest, header string, tensors []byte) int {
	t.Helper()
	require.NoError(t, q.decode([]byte(header), tensors))
	r.put(q)
	return held(q)
}

// TestBinaryBodiesAreNotKept: a large body is let go whichever form it has.
func TestBinaryBodiesAreNotKept(t *testing.T) {
	for _, size := range []int{maxKept / 2, 64 * maxKept} {
		r := &requests{}
		q := r.get()
		pooled(t, r, q, fmt.Sprintf(`{"inputs":[{"name":"x","datatype":"UINT8","shape":[%d],"parameters":{"binary_data_size":%d}}]}`, size, size), make([]byte, size))
		kept := 0
		for range 100 { // a pool may forget what it was given, and under the race detector does so at random
			r.put(q)
			if again := r.get(); again == q {
				kept++
			}
		}
		require.Equal(t, size < maxKept, kept > 0, size)
	}
}

// TestPoolDoesNotGrow: requests that are large in ever another place leave no
// more behind than one of them takes.
func TestPoolDoesNotGrow(t *testing.T) {
	tensor := func(datatype string, n int, data string) string {
		return fmt.Sprintf(`{"name":"x","datatype":%q,"shape":[%d],"data":[%s]}`, datatype, n, data)
	}
	large := map[string]string{
		"numbers": tensor("FP64", 50_000, strings.Repeat("1,", 49_999)+"1"),
		"strings": tensor("BYTES", 2, `"","`+strings.Repeat("a", 100_000)+`"`),
	}
	small := map[string]string{"numbers": tensor("FP64", 1, "1"), "strings": tensor("BYTES", 1, `""`)}
	for what := range large {
		r, q := &requests{}, &inferRequest{}
		for i := range 50 {
			parts := make([]string, 50)
			for j := range parts {
				parts[j] = small[what]
			}
			parts[i] = large[what]
			outputs := make([]string, 50-i)
			for j := range outputs {
				outputs[j] = `{"name":"y"}`
			}
			outputs[len(outputs)-1] = `{"name":"` + strings.Repeat("y", 20_000) + `"}`
			kept := pooled(t, r, q, `{"inputs":[`+strings.Join(parts[:50-i/2], ",")+`],"outputs":[`+strings.Join(outputs, ",")+`]}`, nil)
			require.Less(t, kept, 600_000, "%s, request %d", what, i)
		}
	}
}

// TestReuse: the same client again costs no slice.
func TestReuse(t *testing.T) {
	q := &inferRequest{}
	require.NoError(t, q.decode([]byte(one("FP64", "[3]", "[1,2,3]")), nil))
	first := q.inputs[0].Data.([]float64)
	require.NoError(t, q.decode([]byte(one("FP64", "[3]", "[4,5,6]")), nil))
	require.Same(t, &first[0], &q.inputs[0].Data.([]float64)[0])
	require.Equal(t, []frame.Tensor{{Name: "x", Datatype: frame.FP64, Shape: []int64{3}, Data: []float64{4, 5, 6}}}, q.inputs)
}
