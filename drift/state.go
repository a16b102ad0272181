package drift

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/mlloop/mlloop/drift/driftconcept"
	"github.com/mlloop/mlloop/internal/fault"
)

// stateVersion is the version of the JSON that MarshalBinary writes.
const stateVersion = 1

type monitorState struct {
	Version      int        `json:"version"`
	Model        string     `json:"model"`
	ModelVersion int64      `json:"model_version"`
	Reference    string     `json:"reference"` // fingerprint
	Rows         []byte     `json:"rows"`      // little-endian 16-bit bins, row by row, oldest first
	Since        int        `json:"since"`
	History      []uint64   `json:"history"`
	Errors       errorState `json:"errors"`
	Open         []*episode `json:"open"`
	Fired        int        `json:"fired"`
	Closed       bool       `json:"closed"`
}

type errorState struct {
	Learning []float64      `json:"learning"`
	Base     Baseline       `json:"base"`
	Rise     []byte         `json:"rise,omitempty"`
	Means    []byte         `json:"means,omitempty"`
	Since    int            `json:"since"`
	Block    block          `json:"block"`
	Recent   []float64      `json:"recent"` // oldest first
	Loud     *ColumnFinding `json:"loud,omitempty"`
	Labels   int            `json:"labels"`
}

// MarshalBinary returns the whole state: the window, the detectors, the alerts
// that are firing. A monitor made with the same Config and Options that reads
// it back with UnmarshalBinary goes on as if nothing had happened. It may be
// called at any time.
func (m *Monitor) MarshalBinary() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &m.inputs
	s := monitorState{
		Version: stateVersion, Model: m.model, ModelVersion: m.version, Reference: w.reference.Fingerprint(),
		Since: w.since, History: w.history, Open: m.open, Fired: m.fired, Closed: m.closed,
	}
	for i := range w.ring {
		for _, b := range w.ring[(w.next+i)%len(w.ring)] {
			s.Rows = binary.LittleEndian.AppendUint16(s.Rows, b)
		}
	}
	var err error
	if s.Errors, err = m.errors.state(); err != nil {
		return nil, fmt.Errorf("drift: save the monitor of %s: %w", m.model, err)
	}
	out, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("drift: save the monitor of %s: %w", m.model, err)
	}
	return out, nil
}

func (w *errorWatch) state() (errorState, error) {
	s := errorState{Learning: w.learning, Base: w.base, Since: w.since, Block: w.block, Loud: w.loud, Labels: w.labels}
	s.Recent = append(slices.Clone(w.recent.values[w.recent.next:]), w.recent.values[:w.recent.next]...)
	if w.rise == nil {
		return s, nil
	}
	var err error
	if s.Rise, err = w.rise.MarshalBinary(); err != nil {
		return s, err
	}
	s.Means, err = w.means.MarshalBinary()
	return s, err
}

// UnmarshalBinary replaces the state by one that MarshalBinary wrote. The
// detectors keep the thresholds they were saved with until they start anew.
// Errors: Conflict when the state is of another model, version or reference,
// Unsupported for a newer release's, Corrupt for one that fails its checks; the
// monitor is unchanged then.
func (m *Monitor) UnmarshalBinary(b []byte) error {
	s, err := decodeState(b)
	if err != nil {
		return fmt.Errorf("drift: restore the monitor of %s: %w", m.model, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.Model != m.model || s.ModelVersion != m.version || s.Reference != m.inputs.reference.Fingerprint() {
		return fault.Errorf(fault.Conflict, "drift: restore the monitor of %s version %d: the state is of %s version %d, or of another reference profile",
			m.model, m.version, s.Model, s.ModelVersion)
	}
	inputs, err := m.restoreInputs(s)
	if err != nil {
		return err
	}
	errors, err := m.restoreErrors(s.Errors)
	if err != nil {
		return err
	}
	for _, e := range s.Open {
		if e == nil || e.Alert.Model != m.model || !e.Alert.Firing() || e.Quiet < 0 { // its version may be that of the monitor it was adopted from
			return m.corrupt("an alert is not one of the model's that is firing")
		}
	}
	m.inputs, m.errors, m.open, m.fired, m.closed = inputs, errors, s.Open, s.Fired, s.Closed
	return nil
}

func decodeState(b []byte) (monitorState, error) {
	var s monitorState
	var head struct{ Version int }
	if err := json.Unmarshal(b, &head); err != nil {
		return s, fault.Errorf(fault.Corrupt, "state: %w", err)
	}
	if head.Version > stateVersion {
		return s, fault.Errorf(fault.Unsupported, "state: version %d is newer than this program's %d: run the newer mlloop", head.Version, stateVersion)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fault.Errorf(fault.Corrupt, "state: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return s, fault.Errorf(fault.Corrupt, "state: something follows it")
	}
	if s.Version != stateVersion {
		return s, fault.Errorf(fault.Corrupt, "state: unknown version %d", s.Version)
	}
	return s, nil
}

func (m *Monitor) corrupt(format string, args ...any) error {
	return fault.Errorf(fault.Corrupt, "drift: restore the monitor of "+m.model+": state: "+format, args...)
}

func (m *Monitor) restoreInputs(s monitorState) (inputWatch, error) {
	w := inputWatch{reference: m.inputs.reference, since: s.Since, history: s.History}
	width := len(w.reference.Columns())
	if len(s.Rows) != 2*width*m.opts.Window || len(s.History) != width || s.Since < 0 || s.Fired < 0 {
		return w, m.corrupt("%d bytes of rows and %d histories for a window of %d rows of %d columns", len(s.Rows), len(s.History), m.opts.Window, width)
	}
	rows := make([][]uint16, m.opts.Window)
	for i := range rows {
		for range width {
			rows[i] = append(rows[i], binary.LittleEndian.Uint16(s.Rows))
			s.Rows = s.Rows[2:]
		}
		if err := w.reference.CheckBins(rows[i]); err != nil {
			return w, m.corrupt("row %d: %s", i, err)
		}
	}
	w.fill(rows)
	return w, nil
}

func (m *Monitor) restoreErrors(s errorState) (errorWatch, error) {
	w := newErrorWatch(m.opts)
	w.learning, w.base, w.since, w.block, w.loud, w.labels = s.Learning, s.Base, s.Since, s.Block, s.Loud, s.Labels
	if len(s.Recent) > m.opts.Window || s.Since < 0 || s.Block.Rows < 0 || s.Labels < 0 || s.Base.Rows < 0 {
		return w, m.corrupt("%d latest errors for a window of %d", len(s.Recent), m.opts.Window)
	}
	for _, x := range s.Recent {
		w.recent.add(x)
	}
	if s.Base.Rows == 0 {
		return w, nil
	}
	if !(s.Base.Variance > 0) || !(s.Base.Inflation >= 1) || s.Base.Inflation > maxInflation {
		return w, m.corrupt("the usual errors have variance %g, inflation %g", s.Base.Variance, s.Base.Inflation)
	}
	w.rise, w.means = new(driftconcept.PageHinkley), new(driftconcept.ADWIN)
	if err := w.rise.UnmarshalBinary(s.Rise); err != nil {
		return w, m.corrupt("%s", err)
	}
	if err := w.means.UnmarshalBinary(s.Means); err != nil {
		return w, m.corrupt("%s", err)
	}
	return w, nil
}

// maxInflation bounds what a state may hold: more than any block of errors can give.
const maxInflation = 1e9
