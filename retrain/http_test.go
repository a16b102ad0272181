package retrain_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

// TestOverHTTP replays a promotion as clients see it: predictions and labels go
// through the handler.
func TestOverHTTP(t *testing.T) {
	w := newWorld(t, newStream(t, 34*rowsADay, never), nil)
	server := httptest.NewServer(w.loop.Handler())
	defer server.Close()
	post := func(path string, v any) []byte {
		t.Helper()
		body, err := json.Marshal(v)
		require.NoError(t, err)
		res, err := http.Post(server.URL+"/v2/models/churn"+path, "application/json", bytes.NewReader(body))
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		var answer bytes.Buffer
		_, err = answer.ReadFrom(res.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, res.StatusCode, answer.String())
		return answer.Bytes()
	}
	w.asks = func(row int) int64 {
		r := w.stream.table.Row(row)
		tensor := func(name string) map[string]any {
			return map[string]any{"name": name, "shape": []int{1}, "datatype": "FP64", "data": []float64{r.Get(name).Float()}}
		}
		var answer struct {
			Outputs []struct {
				Name string
				Data []float64
			}
		}
		require.NoError(t, json.Unmarshal(post("/infer", map[string]any{"id": rowID(row), "inputs": []any{tensor("x"), tensor("z")}}), &answer))
		for _, o := range answer.Outputs {
			if o.Name == "label" {
				return int64(o.Data[0])
			}
		}
		require.Fail(t, "no label in the answer")
		return 0
	}
	w.tells = func(from, to int) {
		var labels []any
		for row := from; row < to; row++ {
			labels = append(labels, map[string]any{"id": rowID(row), "value": w.label(row)})
		}
		post("/feedback", map[string]any{"labels": labels})
	}
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.run(31 * rowsADay)
	require.EqualValues(t, 1, retraintest.RequirePromoted(t, w.loop, 2).Champion)
	require.Greater(t, w.accuracy(20*rowsADay, w.row), 0.9)
	require.Equal(t, []retrain.Cause{{Trigger: "manual", Detail: "a person asked"}}, w.last().Causes)
}
