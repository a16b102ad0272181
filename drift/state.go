package drift

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/profile"
)

// stateVersion is the version of the JSON that MarshalBinary writes.
const stateVersion = 1

type monitorState struct {
	Version      int           `json:"version"`
	Model        string        `json:"model"`
	ModelVersion int64         `json:"model_version"`
	Reference    string        `json:"reference"` // fingerprint; "" while it is being learned
	Inputs       inputState    `json:"inputs"`
	Learn        *learnState   `json:"learn,omitempty"` // of a monitor that was given no reference
	Repeats      []byte        `json:"repeats"`         // little-endian 64-bit keys, oldest first
	Errors       errorState    `json:"errors"`
	Open         []*episode    `json:"open"`
	Fired        int           `json:"fired"`
	Closed       bool          `json:"closed"`
	Queue        []queuedState `json:"queue,omitempty"`
}

// MarshalBinary returns the whole state: the window, the detectors, the alerts
// that are firing, the events that wait, a reference that was learned. A monitor
// made with the same Config and Options that reads it back with UnmarshalBinary
// goes on as if nothing had happened. It may be called at any time.
func (m *Monitor) MarshalBinary() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := monitorState{
		Version: stateVersion, Model: m.model, ModelVersion: m.version, Inputs: m.inputs.state(),
		Repeats: appendWords(nil, m.repeats.keys()), Open: m.open, Fired: m.fired, Closed: m.closed.Load(), Queue: m.queue.state(),
	}
	if m.inputs.reference != nil {
		s.Reference = m.inputs.reference.Fingerprint()
	}
	var err error
	if !m.given {
		s.Learn, err = m.learn.state(m.inputs.reference)
	}
	if err == nil {
		s.Errors, err = m.errors.state()
	}
	if err != nil {
		return nil, fmt.Errorf("drift: save the monitor of %s: %w", m.model, err)
	}
	out, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("drift: save the monitor of %s: %w", m.model, err)
	}
	return out, nil
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
	if s.Model != m.model || s.ModelVersion != m.version || m.given != (s.Learn == nil) || m.given && s.Reference != m.inputs.reference.Fingerprint() {
		return fault.Errorf(fault.Conflict, "drift: restore the monitor of %s version %d: the state is of %s version %d, or of another reference profile",
			m.model, m.version, s.Model, s.ModelVersion)
	}
	fresh, err := m.decodeParts(s)
	if err != nil {
		return fmt.Errorf("drift: restore the monitor of %s: state: %w", m.model, err)
	}
	m.inputs, m.learn, m.repeats, m.errors = fresh.inputs, fresh.learn, fresh.repeats, fresh.errors
	m.open, m.changed, m.fired = s.Open, nil, s.Fired
	m.reference.Store(m.inputs.reference)
	m.closed.Store(s.Closed)
	m.queue.replace(fresh.queue)
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

// parts are what a state holds besides plain fields.
type parts struct {
	inputs  inputWatch
	learn   learner
	repeats repeats
	errors  errorWatch
	queue   []event
}

// decodeParts checks and decodes the parts of a state that is the monitor's.
func (m *Monitor) decodeParts(s monitorState) (parts, error) {
	var p parts
	reference := m.inputs.reference
	if !m.given {
		var err error
		if p.learn, reference, err = s.Learn.decode(m.opts); err != nil {
			return p, err
		}
		if reference != nil && reference.Fingerprint() != s.Reference {
			return p, corrupt("its reference is not the one that was learned")
		}
	}
	if s.Fired < 0 || len(s.Repeats)%8 != 0 || len(s.Repeats) > 8*repeatRows {
		return p, corrupt("%d alerts, %d bytes of keys", s.Fired, len(s.Repeats))
	}
	for _, key := range words(s.Repeats) {
		p.repeats.add(key)
	}
	for _, e := range s.Open {
		if e == nil || e.Alert.Model != m.model || !e.Alert.Firing() || e.Quiet < 0 || e.Looks < 0 { // its version may be that of the monitor it was adopted from
			return p, corrupt("an alert is not one of the model's that is firing")
		}
	}
	var err error
	if p.inputs, err = s.Inputs.decode(reference); err != nil {
		return p, err
	}
	if p.errors, err = s.Errors.decode(m.errors.usual, m.opts); err != nil {
		return p, err
	}
	p.queue, err = decodeQueue(s.Queue, reference)
	return p, err
}

func corrupt(format string, args ...any) error { return fault.Errorf(fault.Corrupt, format, args...) }

// inputState is an inputWatch; empty without a reference.
type inputState struct {
	Rows    []byte   `json:"rows"` // little-endian 16-bit bins, row by row, oldest first
	Since   int      `json:"since"`
	History []uint64 `json:"history"`
	Arrived []bool   `json:"arrived"`
	Folded  int64    `json:"folded"`
}

func (w *inputWatch) state() inputState {
	s := inputState{Since: w.since, History: w.history, Arrived: w.arrived, Folded: w.rows}
	for i := range w.ring {
		s.Rows = appendBins(s.Rows, w.ring[(w.next+i)%len(w.ring)])
	}
	return s
}

func (s inputState) decode(reference *profile.Profile) (inputWatch, error) {
	w := inputWatch{reference: reference, since: s.Since, history: s.History, arrived: s.Arrived, rows: s.Folded}
	width, window := 0, 0
	if reference != nil {
		width, window = len(reference.Columns()), reference.WindowRows()
	}
	if len(s.Rows) != 2*width*window || len(s.History) != width || len(s.Arrived) != width || s.Since < 0 || s.Folded < 0 {
		return w, corrupt("%d bytes of rows and %d histories for a window of %d rows of %d columns", len(s.Rows), len(s.History), window, width)
	}
	if reference == nil {
		return inputWatch{}, nil
	}
	rows := make([][]uint16, window)
	for i := range rows {
		rows[i] = bins(s.Rows[2*width*i : 2*width*(i+1)])
		if err := reference.CheckBins(rows[i]); err != nil {
			return w, corrupt("row %d: %s", i, err)
		}
	}
	w.fill(rows)
	return w, nil
}

func appendBins(dst []byte, row []uint16) []byte {
	for _, b := range row {
		dst = binary.LittleEndian.AppendUint16(dst, b)
	}
	return dst
}

func bins(b []byte) []uint16 {
	out := make([]uint16, len(b)/2)
	for i := range out {
		out[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return out
}

func appendWords(dst []byte, words []uint64) []byte {
	for _, w := range words {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	return dst
}

func words(b []byte) []uint64 {
	out := make([]uint64, len(b)/8)
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return out
}
