package retraindbos

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// call is the recorded input of a workflow.
type call struct {
	Name  string `json:"name"`
	Input []byte `json:"input,omitempty"`
	// Cancelled makes a try that ends as cancelled: the mark that Cancel leaves.
	Cancelled bool `json:"cancelled,omitempty"`
}

// outcome is the recorded result of a workflow or a step. DBOS keeps only the
// text of an error; the kind is kept here, so that it survives.
type outcome struct {
	Output []byte `json:"output,omitempty"`
	Error  string `json:"error,omitempty"`
	Kind   string `json:"kind,omitempty"`
}

func outcomeOf(output []byte, err error) outcome {
	if err == nil {
		return outcome{Output: append([]byte(nil), output...)} // nil for none, as it is read back
	}
	o := outcome{Error: cmp.Or(err.Error(), "an error without text")}
	if kind := fault.Kind(err); kind != nil {
		o.Kind = kind.Error()
	}
	return o
}

func (o outcome) result() retrain.Result {
	if o.Error == "" {
		return retrain.Result{Done: true, Output: o.Output}
	}
	if kind := fault.Named(o.Kind); kind != nil {
		return retrain.Result{Done: true, Err: fault.Errorf(kind, "%s", o.Error)}
	}
	return retrain.Result{Done: true, Err: errors.New(o.Error)}
}

// decode reads a value that a listing gives back, as JSON text. Errors: Corrupt.
func decode[T any](stored any) (v T, err error) {
	text, ok := stored.(string)
	if !ok {
		return v, fault.Errorf(fault.Corrupt, "a stored value is a %T, want a string", stored)
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return v, fault.Errorf(fault.Corrupt, "a stored value cannot be read: %v", err)
	}
	return v, nil
}

// guarded runs fn; a panic in it is an error, reported with its stack.
func guarded(report func(v any), fn func() ([]byte, error)) (output []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			report(v)
			output, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	return fn()
}
