package servesql

import (
	"context"
	"errors"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/train/frame"
)

const (
	predictionColumns = `p.seq, p.id, p.row_index, p.attempt, p.version, p.variant, p.status, coalesce(p.key, p.id), p.time, p.features_schema, p.features,
		p.digest, p.outputs_schema, p.outputs, p.propensity, p.latency, p.route_rev, coalesce(p.trace_id, ''), coalesce(p.error, '')`
	labelColumns = `, coalesce(l.seq, 0), coalesce(l.output, ''), coalesce(l.kind, ''), coalesce(l.value, ''),
		coalesce(l.replaces_kind, ''), coalesce(l.replaces_value, ''), l.time`

	selectPredictions = `SELECT ` + predictionColumns + ` FROM {p}serve_prediction p WHERE p.model = ` + modelID + ` AND p.seq > ?`
	latestLabel       = ` LEFT JOIN {p}serve_label l ON l.model = p.model AND l.seq = (SELECT max(x.seq) FROM {p}serve_label x
		WHERE x.model = p.model AND x.id = p.id AND x.row_index = p.row_index AND x.output = ?)`

	// answers is what the caller got, without shadows.
	answers = `p.variant <> 2 AND p.status <= 1`
	ofLabel = `p.model = l.model AND p.id = l.id AND p.row_index = l.row_index AND p.attempt = l.attempt`
)

// selectLabels is the query of Labels. PostgreSQL looks each label's answers up by
// the index, whatever its planner thinks of a young table.
func selectLabels(d sqlstore.Dialect) string {
	return `SELECT ` + predictionColumns + labelColumns + `
		FROM (SELECT * FROM {p}serve_label l WHERE l.model = ` + modelID + ` AND l.seq > ?
			AND EXISTS (SELECT 1 FROM {p}serve_prediction p WHERE ` + ofLabel + ` AND ` + answers + fence(d) + `) ORDER BY l.seq LIMIT ?) l` +
		each(d, `{p}serve_prediction`, `p`, ofLabel+` AND p.status <= 1`) + ` ORDER BY l.seq, p.variant`
}

// predictionRow is a row of {p}serve_prediction, and of the label beside it in
// queries that ask for labelColumns.
type predictionRow struct {
	serve.Prediction
	variant, status, latency, digest, featuresSchema, outputsSchema int64
	features, outputs                                               string

	truth                       serve.Label
	kind, value                 string
	replacesKind, replacesValue string
}

func (p *predictionRow) columns() []any {
	return []any{&p.Seq, &p.ID, &p.Index, &p.Attempt, &p.Version, &p.variant, &p.status, &p.Key, sqlstore.Millis(&p.Time),
		&p.featuresSchema, &p.features, &p.digest, &p.outputsSchema, &p.outputs, &p.Propensity, &p.latency, &p.RouteRev, &p.TraceID, &p.Error}
}

func (p *predictionRow) labelColumns() []any {
	return []any{&p.truth.Seq, &p.truth.Output, &p.kind, &p.value, &p.replacesKind, &p.replacesValue, sqlstore.Millis(&p.truth.Time)}
}

func (p *predictionRow) decode(ctx context.Context, s *Store) (serve.Prediction, error) {
	out := p.Prediction
	out.Latency, out.Digest = time.Duration(p.latency), uint64(p.digest)
	var err error
	if out.Features, err = s.row(ctx, p.featuresSchema, p.features); err == nil {
		out.Outputs, err = s.row(ctx, p.outputsSchema, p.outputs)
	}
	if err == nil {
		out.Variant, err = decoded(variants, p.variant)
	}
	if err == nil {
		out.Status, err = decoded(statuses, p.status)
	}
	if err != nil {
		return serve.Prediction{}, damaged("prediction", p.ID, p.Model, err)
	}
	return out, nil
}

// row reads stored values of a schema.
func (s *Store) row(ctx context.Context, number int64, text string) (frame.Row, error) {
	schema, err := s.schema(ctx, number)
	if err != nil {
		return frame.Row{}, err
	}
	return decodeRow(schema, text)
}

// label returns the zero Label when there is none.
func (p *predictionRow) label() (serve.Label, error) {
	l := p.truth
	if l.Seq == 0 {
		return serve.Label{}, nil
	}
	l.ID, l.Index, l.Model = p.ID, p.Index, p.Model
	var err error
	if l.Value, err = decodeLabel(p.kind, p.value); err == nil {
		l.Replaces, err = decodeLabel(p.replacesKind, p.replacesValue)
	}
	if err != nil {
		return serve.Label{}, damaged("label of", p.ID, p.Model, err)
	}
	return l, nil
}

// damaged says which record cannot be read. A record of a newer release is
// Unsupported, anything else that the record itself is to blame for Corrupt.
func damaged(what, id, model string, err error) error {
	kind := fault.Corrupt
	if k := fault.Kind(err); k != nil && !errors.Is(err, fault.Invalid) {
		kind = k
	}
	return fault.Errorf(kind, "stored %s %q of model %q: %w", what, id, model, err)
}
