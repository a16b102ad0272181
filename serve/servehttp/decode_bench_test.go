package servehttp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// BenchmarkDecode reads one row of six inputs. x/encoding-json is the ratio to
// encoding/json reading the same into typed structs in the same run.
func BenchmarkDecode(b *testing.B) {
	parts := make([]string, 6)
	for i := range parts {
		parts[i] = fmt.Sprintf(`{"name":"feat_%d","datatype":"FP64","shape":[1],"data":[0.05644%d]}`, i+1, i)
	}
	body := []byte(`{"id":"row-123","inputs":[` + strings.Join(parts, ",") + `]}`)
	type request struct {
		ID     string
		Inputs []struct {
			Name, Datatype string
			Shape          []int64
			Data           []float64
		}
	}
	began := time.Now()
	for range b.N {
		var r request
		if err := json.Unmarshal(body, &r); err != nil {
			b.Fatal(err)
		}
	}
	standard := time.Since(began)
	b.ReportAllocs()
	b.ResetTimer()
	q := &inferRequest{}
	began = time.Now()
	for range b.N {
		if err := q.decode(body, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(time.Since(began))/float64(standard), "x/encoding-json")
}
