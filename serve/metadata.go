package serve

import (
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
)

// Metadata says what a model takes and gives, and which versions of it answer.
type Metadata struct {
	Model     string
	Version   int64   // that the signature is of
	Versions  []int64 // that can be asked by number: the primary, then the canary; never a shadow
	Platform  string  // what runs it, such as mlloop_classifier
	Signature bundle.Signature
}

// Metadata describes a version that can be asked by number; 0: the primary.
// Errors: NotFound, Closed.
func (s *Server) Metadata(model string, number int64) (Metadata, error) {
	m, err := s.find(model)
	if err != nil {
		return Metadata{}, fmt.Errorf("serve: metadata of %s: %w", model, err)
	}
	t := m.current.Load()
	if t == nil {
		return Metadata{}, fault.Errorf(fault.Closed, "serve: metadata of %s: the server is closed", model)
	}
	md := Metadata{Model: model}
	for _, v := range t.answering() {
		md.Versions = append(md.Versions, v.number)
		if md.Version == 0 && (number == 0 || number == v.number) {
			md.Version, md.Platform, md.Signature = v.number, v.platform, v.shape.signature
		}
	}
	if md.Version == 0 {
		return Metadata{}, fault.Errorf(fault.NotFound, "serve: metadata of %s: version %d does not answer: not found; %v do", model, number, md.Versions)
	}
	return md, nil
}

// Ready reports whether requests can be answered: nil when the server is open
// and serves a model. Errors: Closed, Unavailable.
func (s *Server) Ready() error {
	if err := s.open(); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	if len(s.Models()) == 0 {
		return fault.Errorf(fault.Unavailable, "serve: no model is loaded yet")
	}
	return nil
}
