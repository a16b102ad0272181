package feature_test

import (
	"math/rand/v2"
	"testing"

	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

// BenchmarkTransformRow is the serving path: seven columns, three of them one-hot encoded.
func BenchmarkTransformRow(b *testing.B) {
	rows := mixedRows(rand.New(rand.NewPCG(1, 1)), 1000, 4)
	fitted := fit(b, mixedPipeline, table(b, mixed, rows), mixedInputs...)
	dst := make([]float32, fitted.Width())
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := fitted.TransformRow(dst, rows[i%len(rows)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkTransformSixFloats is the example's pipeline on one row.
func BenchmarkTransformSixFloats(b *testing.B) {
	var schema frame.Schema
	var names []string
	for _, n := range []string{"feat_1", "feat_2", "feat_3", "feat_4", "feat_5", "feat_6"} {
		schema, names = append(schema, field(n, frame.Float64)), append(names, n)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	rows := make([]frame.Row, 1000)
	for i := range rows {
		rows[i].Schema = schema
		for range schema {
			rows[i].Values = append(rows[i].Values, frame.FloatValue(rng.Float64()))
		}
	}
	data := table(b, schema, rows)
	fitted := fit(b, feature.Pipeline{feature.Impute(), feature.Standardize()}, data, names...)
	dst := make([]float32, fitted.Width())
	b.Run("row", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = fitted.TransformRow(dst, rows[7])
		}
	})
	b.Run("table", func(b *testing.B) {
		for b.Loop() {
			if _, err := fitted.Transform(data); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(len(rows)), "ns/row")
	})
}
