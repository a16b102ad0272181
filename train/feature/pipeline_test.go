package feature_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

func TestSmoke(t *testing.T) {
	tab, err := frame.ReadCSV(strings.NewReader("a,b,c\n1,x,0.5\n2,y,\n3,x,1.5\n"), nil)
	require.NoError(t, err)
	p := feature.Pipeline{feature.Impute(), feature.Standardize(), feature.OneHot("b")}
	f, err := p.Fit(tab, []string{"a", "b", "c"})
	require.NoError(t, err)
	m, err := f.Transform(tab)
	require.NoError(t, err)
	b, err := f.Marshal()
	require.NoError(t, err)
	g, err := feature.Decode(b)
	require.NoError(t, err)
	dst := make([]float32, f.Width())
	for i, r := range tab.Rows(0, 3) {
		require.Zero(t, testing.AllocsPerRun(10, func() { _ = g.TransformRow(dst, r) }))
		require.Equal(t, m.Row(i), dst)
	}
	t.Log(string(b), m, f.Names())
}
