package servesql

import (
	"context"
	"slices"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/sqlstore"
)

// overhead is about what a prediction or a label takes up besides its texts:
// numbers and index entries.
const overhead = 120

// record is a prediction that is to be stored.
type record struct {
	*serve.Prediction
	stored                         // attempt is set when it is placed
	features, outputs       string // JSON
	featuresEnd, outputsEnd int    // where they end in the text of all
	alike                   alike
	bytes                   int64 // about what it takes up
}

// alike is what many predictions of a batch have in common: those that do go
// into one insert.
type alike struct {
	version, variant, status, attempt int64
	featuresSchema, outputsSchema     int64
	propensity                        float64
	routeRev                          int64
	wide                              bool // it has a key, a trace or an error
}

var alikeColumns = []column{
	{"model", "bigint"}, {"version", "bigint"}, {"variant", "smallint"}, {"status", "smallint"}, {"attempt", "bigint"},
	{"features_schema", "bigint"}, {"outputs_schema", "bigint"}, {"propensity", "double precision"}, {"route_rev", "bigint"},
}

var variedColumns = []column{
	{"seq", "bigint"}, {"id", "text"}, {"row_index", "bigint"}, {"time", "bigint"}, {"features", "text"}, {"digest", "bigint"},
	{"outputs", "text"}, {"latency", "bigint"}, {"bytes", "bigint"},
}

var (
	plainPredictions = bulk{`{p}serve_prediction`, alikeColumns, variedColumns}
	widePredictions  = bulk{`{p}serve_prediction`, alikeColumns, slices.Concat(variedColumns, []column{{"key", "text"}, {"trace_id", "text"}, {"error", "text"}})}
)

// AppendPredictions implements serve.Store.
func (s *Store) AppendPredictions(ctx context.Context, ps []serve.Prediction) error {
	if len(ps) == 0 {
		return ctx.Err()
	}
	records, err := s.encode(ctx, ps)
	if err != nil {
		return err
	}
	names, places := byModel(len(ps), func(i int) string { return ps[i].Model })
	return s.change(ctx, names, true, func(tx *sqlstore.Tx, name string, m *modelRow) error {
		mine := make([]*record, len(places[name]))
		for i, at := range places[name] {
			mine[i] = &records[at]
		}
		return appendPredictions(ctx, tx, m, mine)
	})
}

// appendPredictions stores records of a model, whose row is locked.
func appendPredictions(ctx context.Context, tx *sqlstore.Tx, m *modelRow, records []*record) error {
	rows, err := besides(ctx, tx, m, records)
	if err != nil {
		return err
	}
	// Where a row may come twice: its latest record that is stored in this call;
	// before links it to the one before it.
	latest, before := map[rowKey]int{}, make([]int, len(records)+1)
	once := ascending(len(records), func(i int) rowKey { return rowKey{records[i].ID, records[i].Index} })
	inserts := map[alike]*insertion{}
	for i, r := range records {
		k := rowKey{r.ID, r.Index}
		beside := rows[k]
		for j := latest[k]; j > 0; j = before[j] {
			beside = append(slices.Clip(beside), records[j-1].stored)
		}
		if r.attempt = place(beside, &r.stored); r.attempt == 0 {
			continue
		}
		if !once {
			before[i+1], latest[k] = latest[k], i+1
		}
		m.lastSeq++
		m.prediction(&r.stored, r.bytes)
		a := r.alike
		a.attempt = int64(r.attempt)
		in := inserts[a]
		if in == nil {
			in = newInsertion(max(1, (len(records)-i)/(1+len(inserts)))) // the first has most, as a rule
			inserts[a] = in
		}
		in.add(m.lastSeq, r)
	}
	for a, in := range inserts {
		if err := in.run(ctx, tx, m, a); err != nil {
			return err
		}
	}
	return nil
}

// besides returns what is stored of the records' rows.
func besides(ctx context.Context, tx *sqlstore.Tx, m *modelRow, records []*record) (map[rowKey][]stored, error) {
	greatest, err := greatestID(ctx, tx, `{p}serve_prediction`)
	if err != nil {
		return nil, err
	}
	var asked []rowKey
	for _, r := range records {
		if r.ID <= greatest {
			asked = append(asked, rowKey{r.ID, r.Index})
		}
	}
	return readStored(ctx, tx, m, group(tx.Dialect(), asked))
}

// insertion is predictions that are alike, column by column.
type insertion struct {
	seqs, indexes, times, digests, latencies, bytes []int64
	ids, features, outputs                          []string
	keys, traces, errors                            []*string
}

func newInsertion(n int) *insertion {
	ints, texts := make([]int64, 6*n), make([]string, 3*n)
	return &insertion{
		seqs: ints[:0:n], indexes: ints[n : n : 2*n], times: ints[2*n : 2*n : 3*n], digests: ints[3*n : 3*n : 4*n], latencies: ints[4*n : 4*n : 5*n], bytes: ints[5*n : 5*n],
		ids: texts[:0:n], features: texts[n : n : 2*n], outputs: texts[2*n : 2*n],
	}
}

func (in *insertion) add(seq int64, r *record) {
	in.seqs, in.ids, in.indexes = append(in.seqs, seq), append(in.ids, r.ID), append(in.indexes, int64(r.Index))
	in.times, in.features, in.digests = append(in.times, r.time), append(in.features, r.features), append(in.digests, r.digest)
	in.outputs, in.latencies, in.bytes = append(in.outputs, r.outputs), append(in.latencies, int64(r.Latency)), append(in.bytes, r.bytes)
	if r.alike.wide {
		in.keys, in.traces, in.errors = append(in.keys, orNull(&r.Key, r.ID)), append(in.traces, orNull(&r.TraceID, "")), append(in.errors, orNull(&r.Error, ""))
	}
}

// orNull returns nil for the text that is not to be stored.
func orNull(text *string, but string) *string {
	if *text == but {
		return nil
	}
	return text
}

func (in *insertion) run(ctx context.Context, tx *sqlstore.Tx, m *modelRow, a alike) error {
	once := []any{m.id, a.version, a.variant, a.status, a.attempt, a.featuresSchema, a.outputsSchema, a.propensity, a.routeRev}
	varied := values{in.seqs, in.ids, in.indexes, in.times, in.features, in.digests, in.outputs, in.latencies, in.bytes}
	if !a.wide {
		return plainPredictions.insert(ctx, tx, len(in.seqs), once, varied)
	}
	return widePredictions.insert(ctx, tx, len(in.seqs), once, append(varied, in.keys, in.traces, in.errors))
}

// encode returns what is to be stored of each prediction, but for its attempt.
func (s *Store) encode(ctx context.Context, ps []serve.Prediction) ([]record, error) {
	records := make([]record, len(ps))
	features, outputs := schemaCursor{store: s}, schemaCursor{store: s}
	var buf []byte
	for i := range ps {
		p, r := &ps[i], &records[i]
		if err := p.Check(); err != nil {
			return nil, err
		}
		var err error
		if r.alike.featuresSchema, err = features.number(ctx, p.Features.Schema); err != nil {
			return nil, err
		}
		if r.alike.outputsSchema, err = outputs.number(ctx, p.Outputs.Schema); err != nil {
			return nil, err
		}
		r.Prediction = p
		buf = appendRow(buf, p.Features)
		r.featuresEnd = len(buf)
		buf = appendRow(buf, p.Outputs)
		r.outputsEnd = len(buf)
		if i == 0 { // the others are about as long
			buf = slices.Grow(buf, len(ps)*(len(buf)+16))
		}
	}
	text, from := string(buf), 0
	for i := range records {
		r := &records[i]
		r.features, r.outputs = text[from:r.featuresEnd], text[r.featuresEnd:r.outputsEnd]
		from = r.outputsEnd
		r.describe()
	}
	return records, nil
}

// describe fills in what the prediction and its texts say.
func (r *record) describe() {
	p := r.Prediction
	r.stored = stored{
		variant: int64(slices.Index(variants, p.Variant)), status: int64(slices.Index(statuses, p.Status)),
		digest: int64(p.Digest), time: p.Time.UnixMilli(),
	}
	a := &r.alike
	a.version, a.variant, a.status, a.propensity, a.routeRev = p.Version, r.variant, r.status, p.Propensity, p.RouteRev
	a.wide = p.Key != p.ID || p.TraceID != "" || p.Error != ""
	// The id is in the table and in an index.
	r.bytes = overhead + int64(len(r.features)+len(r.outputs)+2*len(p.ID)+len(p.TraceID)+len(p.Error))
	if p.Key != p.ID {
		r.bytes += int64(2 * len(p.Key))
	}
}
