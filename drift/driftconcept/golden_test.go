package driftconcept_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/driftconcept"
)

type stream struct {
	Values string           `json:"values"` // one digit an item
	River  map[string][]int `json:"river_rules"`
}

func (s stream) items() []float64 {
	out := make([]float64, len(s.Values))
	for i := range s.Values {
		out[i] = float64(s.Values[i] - '0')
	}
	return out
}

func streams(t testing.TB) map[string]stream {
	t.Helper()
	b, err := os.ReadFile("testdata/concept_golden.json")
	require.NoError(t, err)
	var g struct{ Streams map[string]stream }
	require.NoError(t, json.Unmarshal(b, &g))
	return g.Streams
}

// detectors by the names that the golden file uses.
func detectors() map[string]func() driftconcept.Detector {
	return map[string]func() driftconcept.Detector{
		"PageHinkley": func() driftconcept.Detector { return driftconcept.NewPageHinkley(nil) },
		"ADWIN":       func() driftconcept.Detector { return driftconcept.NewADWIN(nil) },
		"ADWIN_reset_after_drift": func() driftconcept.Detector {
			return driftconcept.NewADWIN(&driftconcept.ADWINOptions{ResetAfterDrift: true})
		},
		"DDM":    func() driftconcept.Detector { return driftconcept.NewDDM(nil) },
		"HDDM_W": func() driftconcept.Detector { return driftconcept.NewHDDMW(nil) },
		"HDDM_W_two_sided": func() driftconcept.Detector {
			return driftconcept.NewHDDMW(&driftconcept.HDDMWOptions{TwoSided: true})
		},
	}
}

func drifts(d driftconcept.Detector, items []float64) []int {
	found := []int{}
	for i, x := range items {
		if d.Update(x) == driftconcept.Drift {
			found = append(found, i)
		}
	}
	return found
}

func TestDetectorsAgreeIndexForIndex(t *testing.T) {
	checked := 0
	for name, s := range streams(t) {
		for detector, want := range s.River {
			require.Equal(t, want, drifts(detectors()[detector](), s.items()), "%s on %s", detector, name)
			checked++
		}
	}
	require.Equal(t, 36, checked)
}
