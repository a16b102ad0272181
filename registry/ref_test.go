package registry_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
)

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"churn@champion", "churn/3", "models:/churn/latest", "a@b@c", "churn", "churn/0", "churn/03", "churn/", "@", "/1", "models:/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := registry.ParseRef(s)
		if err != nil {
			require.True(t, errors.Is(err, registry.ErrInvalid))
			return
		}
		again, err := registry.ParseRef(r.String())
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}

func TestParseRef(t *testing.T) {
	for s, want := range map[string]registry.Ref{
		"churn@champion":         {Model: "churn", Alias: "champion"},
		"churn/3":                {Model: "churn", Number: 3},
		"churn/latest":           {Model: "churn", Alias: registry.Latest},
		"churn@Latest":           {Model: "churn", Alias: registry.Latest},
		"models:/churn/3":        {Model: "churn", Number: 3},
		"models:/churn@champion": {Model: "churn", Alias: "champion"},
		"a@b@c":                  {Model: "a@b", Alias: "c"},
		"a@b/3":                  {Model: "a@b", Number: 3},
	} {
		got, err := registry.ParseRef(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
	for s, want := range map[string]string{
		"churn":                     "it names no version: write model@champion, or model/3",
		"churn/Production":          `"Production" is no version number`,
		"churn/0":                   "is no version number",
		"churn/-1":                  "is no version number",
		"churn/03":                  "is no version number",
		"churn/3/MLmodel":           "is no version number",
		"churn/9223372036854775808": "is no version number",
		"churn@v3":                  "it reads like a version number",
		"churn@":                    "want 1 to 255",
		"@champion":                 "the model's name is empty",
		"/3":                        "the model's name is empty",
		"runs:/abc/model":           "is no version number",
		"":                          "it names no version",
	} {
		_, err := registry.ParseRef(s)
		require.ErrorIs(t, err, registry.ErrInvalid, s)
		require.ErrorContains(t, err, want, s)
	}
	require.Equal(t, "churn/3", registry.VersionRef("churn", 3))
}
