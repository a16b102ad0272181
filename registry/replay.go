package registry

import (
	"strconv"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// replay is what a model's events tell, from the first to the last one added.
type replay struct {
	model    string // the name that it was asked for by
	since    *Head  // nil: nothing is known
	last     Event
	name     string
	created  time.Time // the model
	versions []origin  // number n at n-1
	aliases  map[string]target
	passed   *passed // nil until the tables have been read
}

// origin is what the trail knows of a version.
type origin struct {
	seq     int64
	digest  string
	content string
	state   State
}

// target is where an alias points; the zero value: it does not exist.
type target struct {
	version, seq int64
	moved        int64 // Unix milliseconds
}

// passed is what was so for a while since the tables began to be read, and is no
// longer.
type passed struct {
	states  map[int64][]State
	aliases map[string][]target
}

// add takes the next event.
func (r *replay) add(e Event) error {
	if e.Seq != r.last.Seq+1 {
		return fault.Errorf(ErrCorrupt, "event %d follows event %d: some are missing", e.Seq, r.last.Seq)
	}
	if r.last.Seq > 0 && e.ModelID != r.last.ModelID {
		return fault.Errorf(ErrCorrupt, "event %d belongs to model %s, the one before to %s", e.Seq, e.ModelID, r.last.ModelID)
	}
	if err := e.checkHash(r.last.Hash); err != nil {
		return err
	}
	if s := r.since; s != nil && e.Seq == s.Seq && (e.Hash != s.Hash || e.ModelID != s.ModelID) {
		return fault.Errorf(ErrCorrupt, "event %d is another than the one of the head: the trail was rewritten since, or the head is of another model", e.Seq)
	}
	r.last = e
	return r.apply(e)
}

// end checks what only the whole trail tells.
func (r *replay) end() error {
	switch s := r.since; {
	case r.last.Seq == 0:
		return fault.Errorf(ErrCorrupt, "it has no event: the trail was taken away")
	case s != nil && r.last.Seq < s.Seq:
		return fault.Errorf(ErrCorrupt, "it ends with event %d, the head has event %d: the end was cut off", r.last.Seq, s.Seq)
	case r.name != r.last.Model:
		return fault.Errorf(ErrCorrupt, "the model is called %q in its table, %q by the trail", r.last.Model, r.name)
	}
	return nil
}

// apply changes what is so as the event says, if that fits.
func (r *replay) apply(e Event) error {
	fits := true
	switch e.Kind {
	case ModelCreated:
		fits = e.Seq == 1
		r.name, r.created = e.To, e.Time
	case ModelRenamed:
		fits = e.From == r.name
		r.name = e.To
	case VersionCreated:
		fits = e.Version == int64(len(r.versions))+1
		r.versions = append(r.versions, origin{seq: e.Seq, digest: e.Digest, content: e.Content, state: State(e.To)})
	case VersionState:
		fits = r.setState(e)
	case AliasSet, AliasDeleted:
		fits = r.setAlias(e)
	default:
		return fault.Errorf(ErrUnsupported, "event %d is of the unknown kind %q: run the newer mlloop", e.Seq, e.Kind)
	}
	if !fits || (e.Seq == 1) != (e.Kind == ModelCreated) {
		return fault.Errorf(ErrCorrupt, "event %d (%s) does not follow from those before", e.Seq, e.Kind)
	}
	return nil
}

func (r *replay) setState(e Event) bool {
	if e.Version < 1 || e.Version > int64(len(r.versions)) {
		return false
	}
	o := &r.versions[e.Version-1]
	before := o.state
	o.state = State(e.To)
	if r.passed != nil {
		r.passed.states[e.Version] = append(r.passed.states[e.Version], before)
	}
	return string(before) == e.From
}

func (r *replay) setAlias(e Event) bool {
	before := r.aliases[e.Alias]
	if r.passed != nil {
		r.passed.aliases[e.Alias] = append(r.passed.aliases[e.Alias], before)
	}
	if e.From != number(before.version) || e.Version < 1 || e.Version > int64(len(r.versions)) {
		return false
	}
	if e.Kind == AliasDeleted {
		delete(r.aliases, e.Alias)
		return e.To == "" && e.Version == before.version
	}
	r.aliases[e.Alias] = target{version: e.Version, seq: e.Seq, moved: e.Time.UnixMilli()}
	return e.To == number(e.Version)
}

// number is a version as events have it: "" for none.
func number(version int64) string {
	if version == 0 {
		return ""
	}
	return strconv.FormatInt(version, 10)
}
