package metric

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
)

// blocks are what a bootstrap draws: groups of rows, or single rows.
type blocks struct {
	of []int32 // the block of each row, from 0
	n  int
}

func newBlocks(ids []int, rows int) blocks {
	b := blocks{of: make([]int32, rows), n: rows}
	if ids == nil {
		for i := range b.of {
			b.of[i] = int32(i)
		}
		return b
	}
	number := map[int]int32{}
	for i, id := range ids {
		k, ok := number[id]
		if !ok {
			k = int32(len(number))
			number[id] = k
		}
		b.of[i] = k
	}
	b.n = len(number)
	return b
}

// statistic is a metric of a resample: weights say how often each block was
// drawn. NaN where the resample leaves it undefined.
type statistic func(weights []int32) float64

// meanOf prepares a mean over rows: the sums of each block suffice.
func meanOf(contribution func(Scores, int) float64) func(Scores, blocks) (statistic, error) {
	return func(s Scores, b blocks) (statistic, error) {
		sums, sizes := make([]float64, b.n), make([]float64, b.n)
		for i, k := range b.of {
			sums[k] += contribution(s, i)
			sizes[k]++
		}
		return func(weights []int32) float64 {
			var total, size float64
			for k, w := range weights {
				total += float64(w) * sums[k]
				size += float64(w) * sizes[k]
			}
			return total / size
		}, nil
	}
}

// bootstrap returns the metric of the first scores, minus that of the second
// where there are two, with the percentile interval of its resamples.
func (m Metric) bootstrap(opts Options, scores ...Scores) (Result, error) {
	b := newBlocks(opts.Blocks, len(scores[0].Labels))
	if b.n < 2 {
		return Result{}, fault.Errorf(fault.Invalid, "%d block of rows: an interval needs two at least", b.n)
	}
	first, err := m.statistic(scores[0], b)
	if err != nil {
		return Result{}, err
	}
	of := first
	if len(scores) == 2 {
		second, err := m.statistic(scores[1], b)
		if err != nil {
			return Result{}, err
		}
		of = func(w []int32) float64 { return first(w) - second(w) }
	}
	draws, err := resample(of, b.n, opts)
	if err != nil {
		return Result{}, err
	}
	once := slices.Repeat([]int32{1}, b.n)
	method := fmt.Sprintf("bootstrap of %d rows", b.n)
	if opts.Blocks != nil {
		method = fmt.Sprintf("bootstrap of %d blocks", b.n)
	}
	tail := (1 - opts.Level) / 2
	return Result{Value: of(once), Low: quantile(draws, tail), High: quantile(draws, 1-tail), Method: method}, nil
}

// resample returns the statistic of o.Resamples draws of n blocks with
// replacement, ascending. A draw that leaves it undefined is drawn again.
func resample(of statistic, n int, opts Options) ([]float64, error) {
	rng := rand.New(rand.NewPCG(opts.Seed, 0x6d6c6c6f6f70)) // the stream is the package's own
	weights := make([]int32, n)
	draws := make([]float64, 0, opts.Resamples)
	for misses := 0; len(draws) < opts.Resamples; {
		clear(weights)
		for range n {
			weights[rng.IntN(n)]++
		}
		if v := of(weights); !math.IsNaN(v) {
			draws = append(draws, v)
		} else if misses++; misses > 10*opts.Resamples {
			return nil, fault.Errorf(fault.Invalid, "nearly all resamples lack a class; take more rows or smaller blocks")
		}
	}
	slices.Sort(draws)
	return draws, nil
}

// quantile interpolates between the order statistics of ascending values.
func quantile(x []float64, q float64) float64 {
	at := q * float64(len(x)-1)
	i := min(int(at), len(x)-1)
	if i+1 == len(x) {
		return x[i]
	}
	return x[i] + (at-float64(i))*(x[i+1]-x[i])
}
