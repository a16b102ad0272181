package frame_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/frame"
)

// marketCSV looks like the half-hourly records of an electricity market.
func marketCSV(rows int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	b.WriteString("at,price,demand,transfer,region,up\n")
	for i := range rows {
		fmt.Fprintf(&b, "%s,%v,%v,%d,%s,%t\n", time.UnixMilli(8e11+int64(i)*1.8e6).UTC().Format(time.RFC3339),
			rng.Float64(), rng.Float64(), rng.IntN(1000), [...]string{"NSW", "VIC", "QLD"}[rng.IntN(3)], rng.IntN(2) == 0)
	}
	return b.Bytes()
}

// BenchmarkReadCSV compares reading a typed table with letting encoding/csv
// split the same text into fields and do nothing with them.
func BenchmarkReadCSV(b *testing.B) {
	text := marketCSV(50_000)
	t, err := frame.ReadCSV(bytes.NewReader(text), nil)
	require.NoError(b, err)
	for name, o := range map[string]*frame.CSVOptions{"inferred": nil, "schema": {Schema: t.Schema()}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var splitting time.Duration
			for b.Loop() {
				b.StopTimer()
				start := time.Now()
				require.NoError(b, split(text))
				splitting += time.Since(start)
				b.StartTimer()
				if _, err := frame.ReadCSV(bytes.NewReader(text), o); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed())/float64(splitting), "x-encoding/csv")
		})
	}
}

func split(text []byte) error {
	r := csv.NewReader(bytes.NewReader(text))
	r.ReuseRecord = true
	for {
		if _, err := r.Read(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func BenchmarkDigest(b *testing.B) {
	t, err := frame.ReadCSV(bytes.NewReader(marketCSV(50_000)), nil)
	require.NoError(b, err)
	b.SetBytes(50_000 * 6 * 9)
	for b.Loop() {
		t.Slice(0, t.NumRows()).Digest()
	}
}

func BenchmarkRows(b *testing.B) {
	t, err := frame.ReadCSV(bytes.NewReader(marketCSV(50_000)), nil)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		for _, r := range t.Rows(0, t.NumRows()) {
			if r.Values[1].IsNull() {
				b.Fatal("null")
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/50_000, "ns/row")
}

func BenchmarkEncodeValues(b *testing.B) {
	t, err := frame.ReadCSV(bytes.NewReader(marketCSV(100)), nil)
	require.NoError(b, err)
	values := t.Row(7).Values
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = frame.EncodeValues(dst[:0], values)
	}
	b.ReportMetric(float64(len(dst)), "bytes")
}
