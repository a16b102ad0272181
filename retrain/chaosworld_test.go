package retrain_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// chaosWorld is what a history's models are about: rows with a label, drawn
// before it begins. The number of a row is in the low bits of its x, so that a
// model of a stated accuracy can look up the truth and err as often as it says.
type chaosWorld struct {
	seed   uint64
	times  []time.Time // rising
	labels []int64     // the truth, 0 or 1
	table  *frame.Table
	live   int         // the first row that is asked about
	eras   []time.Time // beginnings of the concepts after the first
}

// rowBits is how many low bits of x hold the number of the row.
const rowBits = 20

const (
	chaosPast  = 30 * 24 * time.Hour // rows before the history begins
	chaosDrop  = 0.15                // accuracy that a model loses on another concept than its own
	chaosShift = 2.5                 // by which inputs move in a drift of theirs, in standard deviations
)

// newChaosWorld draws a world that goes on for so long after begin.
func newChaosWorld(seed uint64, begin time.Time, length time.Duration, perHour float64) *chaosWorld {
	rng := rand.New(rand.NewPCG(seed, 1))
	w := &chaosWorld{seed: seed}
	for range rng.IntN(3) {
		w.eras = append(w.eras, begin.Add(time.Duration(rng.Float64()*float64(length))))
	}
	sort.Slice(w.eras, func(i, j int) bool { return w.eras[i].Before(w.eras[j]) })
	shiftFrom := begin.Add(time.Duration((0.2 + 2*rng.Float64()) * float64(length))) // often never
	schema := frame.Schema{{Name: "at", Kind: frame.Time}, {Name: "x", Kind: frame.Float64}, {Name: "z", Kind: frame.Float64}, {Name: "y", Kind: frame.Int64}}
	var rows []frame.Row
	for hour := -int(chaosPast / time.Hour); hour < int(length/time.Hour); hour++ {
		start := begin.Add(time.Duration(hour) * time.Hour)
		if hour == 0 {
			w.live = len(rows)
		}
		season := 1 + 0.8*math.Sin(2*math.Pi*float64(start.Hour())/24)
		n := int(perHour*season + rng.Float64())
		for i := range n {
			at := start.Add(time.Duration((float64(i) + 0.8*rng.Float64()) / float64(n) * float64(time.Hour))).Truncate(time.Millisecond)
			z, y := rng.NormFloat64(), int64(0)
			if rng.Float64() < 0.4 {
				y = 1
			}
			if at.After(shiftFrom) {
				z += chaosShift
			}
			x := math.Float64frombits(math.Float64bits(rng.NormFloat64())&^(1<<rowBits-1) | uint64(len(rows)))
			rows = append(rows, frame.Row{Schema: schema, Values: []frame.Value{frame.TimeValue(at.UnixMilli()), frame.FloatValue(x), frame.FloatValue(z), frame.IntValue(y)}})
			w.times, w.labels = append(w.times, at), append(w.labels, y)
		}
	}
	table, err := frame.FromRows(schema, rows)
	if err != nil {
		panic(err) // the schema is right above
	}
	w.table = table
	return w
}

// rowOfX is the number of the row that an x came from.
func rowOfX(x float64) int { return int(math.Float64bits(x) & (1<<rowBits - 1)) }

// era is the concept that holds at a time.
func (w *chaosWorld) era(at time.Time) int {
	return sort.Search(len(w.eras), func(i int) bool { return w.eras[i].After(at) })
}

// rowsBefore is the number of rows before a time.
func (w *chaosWorld) rowsBefore(at time.Time) int {
	return sort.Search(len(w.times), func(i int) bool { return !w.times[i].Before(at) })
}

// uniform is a number in [0, 1) that depends on its arguments alone.
func uniform(parts ...uint64) float64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, p := range parts {
		h ^= p
		h += 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return float64(h>>11) / (1 << 53)
}

// outage is a stretch of time in which a source does something else than answer.
type outage struct {
	from, to time.Time
	how      string // error, panic, hang, empty, late
}

// outages are what a source goes through.
type outages []outage

func drawOutages(rng *rand.Rand, begin time.Time, length time.Duration, most int) outages {
	var out outages
	for range rng.IntN(most + 1) {
		from := begin.Add(time.Duration(rng.Float64() * float64(length)))
		// From a minute to ten days, short ones more often.
		took := time.Duration(float64(time.Minute) * math.Pow(14_400, rng.Float64()))
		out = append(out, outage{from, from.Add(took), []string{"error", "panic", "hang", "empty", "error"}[rng.IntN(5)]})
	}
	return out
}

// at returns what the source does at a time, "" when it answers.
func (o outages) at(now time.Time) string {
	for _, x := range o {
		if !now.Before(x.from) && now.Before(x.to) {
			return x.how
		}
	}
	return ""
}

// Rows implements retrain.Source: the rows of the last weeks before now that
// are there by the world's own time.
func (h *history) Rows(ctx context.Context, now time.Time) (*frame.Table, error) {
	switch h.sourceFaults.at(time.Now()) {
	case "error":
		return nil, fault.Errorf(fault.Unavailable, "the source is down")
	case "panic":
		panic("the source is broken")
	case "hang":
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-h.release:
		}
	case "empty":
		return h.world.table.Slice(0, 0), nil
	case "late":
		time.Sleep(time.Until(h.sourceFaults[0].to))
		return nil, errors.New("the source took too long")
	}
	w := h.world
	to := min(w.rowsBefore(now), w.rowsBefore(time.Now()))
	return w.table.Slice(min(to, w.rowsBefore(now.Add(-21*24*time.Hour))), to), nil
}
