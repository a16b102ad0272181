package retraintest

import "github.com/mlloop/mlloop/retrain"

// Beside returns the engine of another process that lives at the same time, on
// the same records. It is not launched.
func (e *Engine) Beside() *Engine { return newLife(e.records) }

// AnotherProcess returns the stores of NewStores as another process has them that
// lives at the same time: what they keep is the same, and each process has an
// engine of its own. Close the stores once, and the engines of the others.
func AnotherProcess(s *retrain.Stores) *retrain.Stores {
	other := *s
	other.Engine = s.Engine.(*Engine).Beside()
	return &other
}
