package artifacttest

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// random runs the same random operations on the store and on one in memory.
func random(t *testing.T, s artifact.Store) {
	const seed, steps = 11, 70
	rng := rand.New(rand.NewPCG(seed, seed))
	memory, all := artifact.Memory(), operations()
	for step := range steps {
		content := pattern(rng.IntN(4)*rng.IntN(400_000), byte(rng.IntN(4)))
		operation := all[rng.IntN(len(all))]
		offset, length := int64(rng.IntN(len(content)+2)), int64(rng.IntN(len(content)+2)-1)
		do := func(s artifact.Store) string { return operation.do(t, s, content, offset, length) }
		require.Equal(t, do(memory), do(s), "seed %d, step %d: %s", seed, step, operation.name)
	}
	want := map[string]int64{}
	for info, err := range memory.List(t.Context()) {
		require.NoError(t, err)
		want[info.Digest] = info.Size
	}
	got := map[string]int64{}
	for info, err := range s.List(t.Context()) {
		require.NoError(t, err)
		got[info.Digest] = info.Size
	}
	require.Equal(t, want, got)
}

// operation does something to a store and says what came of it. Times differ
// between two stores, and are left out.
type operation struct {
	name string
	do   func(t *testing.T, s artifact.Store, content []byte, offset, length int64) string
}

func operations() []operation {
	return []operation{
		{"put", func(t *testing.T, s artifact.Store, content []byte, _, _ int64) string {
			digest, size, err := s.Put(t.Context(), bytes.NewReader(content), nil)
			return outcome(err, digest, size)
		}},
		{"put expected", func(t *testing.T, s artifact.Store, content []byte, offset, _ int64) string {
			want := digestOf(content[:min(int(offset), len(content))]) // of all of it now and then
			_, size, err := s.Put(t.Context(), bytes.NewReader(content), &artifact.PutOptions{Digest: want})
			return outcome(err, size)
		}},
		{"get", func(t *testing.T, s artifact.Store, content []byte, _, _ int64) string {
			b, err := get(s, digestOf(content))
			return outcome(err, len(b))
		}},
		{"get a range", func(t *testing.T, s artifact.Store, content []byte, offset, length int64) string {
			r, err := s.GetRange(t.Context(), digestOf(content), offset, length)
			if err != nil {
				return outcome(err)
			}
			b, err := io.ReadAll(r)
			require.NoError(t, r.Close())
			return outcome(err, digestOf(b))
		}},
		{"stat", func(t *testing.T, s artifact.Store, content []byte, _, _ int64) string {
			info, err := s.Stat(t.Context(), digestOf(content))
			return outcome(err, info.Digest, info.Size)
		}},
		{"delete", func(t *testing.T, s artifact.Store, content []byte, _, _ int64) string {
			return outcome(s.Delete(t.Context(), digestOf(content)))
		}},
		{"expire", func(t *testing.T, s artifact.Store, content []byte, offset, _ int64) string {
			before := time.Now().Add(time.Hour)
			if offset%2 == 0 {
				before = before.Add(-2 * time.Hour)
			}
			removed, err := s.Expire(t.Context(), digestOf(content), before)
			return outcome(err, removed)
		}},
	}
}

// outcome is the result, or else the kind of the error.
func outcome(err error, results ...any) string {
	if err != nil {
		return fmt.Sprint(fault.Kind(err))
	}
	return fmt.Sprint(results...)
}
