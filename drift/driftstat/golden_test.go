package driftstat_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/driftstat"
)

// number reads JSON numbers and the file's "NaN" and "Infinity".
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"NaN"`, "null":
		*n = number(math.NaN())
		return nil
	case `"Infinity"`:
		*n = number(math.Inf(1))
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}

type spec struct {
	Kind     string
	Seed     uint64
	N        int
	Loc      float64
	Scale    float64
	Lo, Hi   float64
	K        float64
	Value    float64
	RoundTo  float64 `json:"round_to"`
	NaNEvery int     `json:"nan_every"`
	NaNPhase int     `json:"nan_phase"`
	InfEvery int     `json:"inf_every"`
	Values   []any
}

type divergences struct {
	JS        number  `json:"js_distance_base_e"`
	Hellinger number  `json:"hellinger"`
	TVD       number  `json:"tvd"`
	Fill      number  `json:"psi_evidently_fill"`
	Floor     number  `json:"psi_floor_1e-4"`
	Laplace   number  `json:"psi_laplace_0.5"`
	Ref       []int64 `json:"counts_ref"`
	Cur       []int64 `json:"counts_cur"`
}

type golden struct {
	Cases []struct {
		Name, Type string
		Ref, Cur   spec
		NRef       int                  `json:"n_ref"`
		NCur       int                  `json:"n_cur"`
		CountsRef  []int64              `json:"counts_ref"`
		CountsCur  []int64              `json:"counts_cur"`
		CheckRef   struct{ Sum number } `json:"check_ref"`
		Expect     struct {
			KS *struct {
				Statistic number
				Exact     *number `json:"p_exact"`
				Limit     number  `json:"p_kolmogorov_limit"`
			} `json:"ks_2samp"`
			Wasserstein number `json:"wasserstein_1"`
			ChiSquare   struct {
				Statistic   number
				P           number
				DF          int    `json:"dof"`
				MinExpected number `json:"min_expected"`
				CramersV    number `json:"cramers_v"`
			} `json:"chi2_contingency"`
			Z      *struct{ Z, P number } `json:"two_proportion_z"`
			Div    divergences
			Binned map[string]divergences
		}
	}
	MultipleTesting struct {
		P       []float64
		Methods map[string]struct {
			Adjusted []float64 `json:"p_adjusted"`
		}
	} `json:"multiple_testing"`
	Special struct {
		Limit [][2]float64 `json:"kstwobign_sf"`
		Chi   [][3]float64 `json:"chi2_sf"`
	} `json:"special_functions"`
}

func readGolden(t *testing.T) golden {
	t.Helper()
	b, err := os.ReadFile("testdata/drift_golden.json")
	require.NoError(t, err)
	var g golden
	require.NoError(t, json.Unmarshal(b, &g))
	return g
}

// splitmix draws the uniform numbers that the file's specifications name.
type splitmix uint64

func (s *splitmix) u() float64 {
	*s += 0x9E3779B97F4A7C15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	z ^= z >> 31
	return float64(z>>11) * 0x1p-53
}

func (s spec) values() []float64 {
	if s.Kind == "inline" {
		out := make([]float64, 0, len(s.Values))
		for _, v := range s.Values {
			f, ok := v.(float64)
			if !ok {
				f = math.NaN()
			}
			out = append(out, f)
		}
		return out
	}
	rng := splitmix(s.Seed)
	out := make([]float64, s.N)
	for i := range out {
		switch s.Kind {
		case "normal12":
			sum := 0.0
			for range 12 {
				sum += rng.u()
			}
			out[i] = s.Loc + s.Scale*(sum-6)
		case "uniform":
			out[i] = s.Lo + (s.Hi-s.Lo)*rng.u()
		case "expon":
			out[i] = -math.Log1p(-rng.u()) * s.Scale
		case "randint":
			out[i] = math.Floor(rng.u() * s.K)
		case "const":
			out[i] = s.Value
		}
		if s.RoundTo > 0 {
			out[i] = math.Floor(out[i]*s.RoundTo+0.5) / s.RoundTo
		}
	}
	if s.NaNEvery > 0 {
		for i := s.NaNPhase; i < len(out); i += s.NaNEvery {
			out[i] = math.NaN()
		}
	}
	if s.InfEvery > 0 {
		for i := 1; i < len(out); i += s.InfEvery {
			out[i] = math.Inf(1)
		}
	}
	return out
}

// close compares to a relative 1e-9: the digits that two ways of adding up agree on.
func close(t *testing.T, want number, got float64, what string) {
	t.Helper()
	if w := float64(want); w == 0 || math.Abs(w) < 1e-12 && math.Abs(got) < 1e-12 && w > 1e-300 && got == 0 {
		require.InDelta(t, w, got, 1e-12, what)
	} else {
		require.InEpsilon(t, w, got, 1e-9, what)
	}
}

func TestNumericCasesAgreeWithScipy(t *testing.T) {
	for _, c := range readGolden(t).Cases {
		if c.Type != "numeric" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			ref, cur := c.Ref.values(), c.Cur.values()
			finite, missing := driftstat.Clean(ref)
			require.Len(t, finite, c.NRef)
			require.Equal(t, len(ref)-c.NRef, missing)
			sum := 0.0
			for _, v := range finite {
				sum += v
			}
			require.InDelta(t, float64(c.CheckRef.Sum), sum, 1e-6, "the sample was not rebuilt as the file says")

			w, err := driftstat.Wasserstein(ref, cur)
			require.NoError(t, err)
			close(t, c.Expect.Wasserstein, w, "W1")
			ks, err := driftstat.KS(ref, cur)
			if c.NRef < 2 {
				require.ErrorContains(t, err, "not enough data")
				return
			}
			require.NoError(t, err)
			require.Equal(t, []int{c.NRef, c.NCur}, []int{ks.Ref, ks.Cur})
			close(t, c.Expect.KS.Statistic, ks.D, "D")
			close(t, c.Expect.KS.Limit, driftstat.KSLimit(ks.D, ks.Ref, ks.Cur), "limit p")
			if c.Expect.KS.Exact != nil {
				close(t, *c.Expect.KS.Exact, driftstat.KSExact(ks.D, ks.Ref, ks.Cur), "exact p")
			}
			for binning, want := range c.Expect.Binned {
				checkDivergences(t, want, want.Ref, want.Cur, binning)
			}
		})
	}
}

func TestCategoricalCasesAgreeWithScipy(t *testing.T) {
	for _, c := range readGolden(t).Cases {
		if c.Type != "categorical" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			got, err := driftstat.ChiSquare(c.CountsRef, c.CountsCur)
			require.NoError(t, err)
			want := c.Expect.ChiSquare
			close(t, want.Statistic, got.Statistic, "chi-square")
			close(t, want.P, got.P, "p")
			close(t, want.MinExpected, got.MinExpected, "smallest expected count")
			require.Equal(t, want.DF, got.DF)
			if !math.IsNaN(float64(want.CramersV)) {
				close(t, want.CramersV, got.CramersV, "Cramér's V")
			}
			if z := c.Expect.Z; z != nil {
				got, err := driftstat.TwoProportions(c.CountsRef[1], int64(c.NRef), c.CountsCur[1], int64(c.NCur))
				require.NoError(t, err)
				close(t, number(math.Abs(float64(z.Z))), math.Abs(got.Z), "z")
				close(t, z.P, got.P, "p of z")
			}
			checkDivergences(t, c.Expect.Div, c.CountsRef, c.CountsCur, "categories")
		})
	}
}

func checkDivergences(t *testing.T, want divergences, ref, cur []int64, what string) {
	t.Helper()
	for _, d := range []struct {
		name string
		want number
		got  func() (float64, error)
	}{
		{"PSI, filled", want.Fill, func() (float64, error) { return driftstat.PSI(ref, cur, driftstat.Fill) }},
		{"PSI, floor", want.Floor, func() (float64, error) { return driftstat.PSI(ref, cur, driftstat.Floor) }},
		{"PSI, Laplace", want.Laplace, func() (float64, error) { return driftstat.PSI(ref, cur, driftstat.Laplace) }},
		{"Jensen-Shannon", want.JS, func() (float64, error) { return driftstat.JensenShannon(ref, cur) }},
		{"Hellinger", want.Hellinger, func() (float64, error) { return driftstat.Hellinger(ref, cur) }},
		{"total variation", want.TVD, func() (float64, error) { return driftstat.TotalVariation(ref, cur) }},
	} {
		got, err := d.got()
		require.NoError(t, err)
		if math.IsNaN(float64(d.want)) {
			continue
		}
		close(t, d.want, got, what+": "+d.name)
	}
}

func TestCorrectionsAgreeWithStatsmodels(t *testing.T) {
	g := readGolden(t).MultipleTesting
	for name, c := range map[string]driftstat.Correction{
		"bonferroni": driftstat.Bonferroni, "holm": driftstat.Holm,
		"fdr_bh": driftstat.BenjaminiHochberg, "fdr_by": driftstat.BenjaminiYekutieli,
	} {
		// Reversed, so that the answer has to come back in the order of the question.
		p, want := append([]float64(nil), g.P...), append([]float64(nil), g.Methods[name].Adjusted...)
		for i, j := 0, len(p)-1; i < j; i, j = i+1, j-1 {
			p[i], p[j] = p[j], p[i]
			want[i], want[j] = want[j], want[i]
		}
		got, err := driftstat.Adjust(p, c)
		require.NoError(t, err)
		require.InDeltaSlice(t, want, got, 1e-14, name)
	}
}

func TestSpecialFunctionsAgreeWithScipy(t *testing.T) {
	g := readGolden(t).Special
	for _, v := range g.Limit {
		// n = m = 2 gives the limit law at d itself.
		close(t, number(v[1]), driftstat.KSLimit(v[0], 2, 2), "kolmogorov")
	}
	for _, v := range g.Chi {
		close(t, number(v[2]), driftstat.ChiSquareSurvival(v[0], int(v[1])), "chi-square")
	}
}
