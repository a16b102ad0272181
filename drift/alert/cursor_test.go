package alert_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/internal/fault"
)

func TestCursorJSON(t *testing.T) {
	at := time.UnixMilli(1_780_000_000_123).UTC()
	for text, c := range map[string]alert.Cursor{
		`{"version":1,"seq":0}`:  {},
		`{"version":1,"seq":41}`: {Seq: 41},
		`{"version":1,"seq":41,"attempts":3,"first_failure":"2026-05-28T20:26:40.123Z","next_try":"2026-05-28T20:26:44.123Z","last_error":"down"}`: {
			Seq: 41, Attempts: 3, FirstFailure: at, NextTry: at.Add(4 * time.Second), LastError: "down"},
	} {
		b, err := json.Marshal(c)
		require.NoError(t, err)
		require.Equal(t, text, string(b))
		var back alert.Cursor
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, c, back)
	}
	for text, kind := range map[string]error{
		`{"version":2,"seq":1}`: fault.Unsupported, `{"seq":1}`: fault.Corrupt, `{"version":1,"seq":-1}`: fault.Corrupt,
		`{"version":1,"seq":1,"attempts":-1}`: fault.Corrupt, `{"version":1,"seq":"1"}`: fault.Corrupt, `[]`: fault.Corrupt,
	} {
		c := alert.Cursor{Seq: 7}
		require.ErrorIs(t, json.Unmarshal([]byte(text), &c), kind, text)
		require.Equal(t, alert.Cursor{Seq: 7}, c, "unchanged")
	}
}

func FuzzCursor(f *testing.F) {
	f.Add([]byte(`{"version":1,"seq":41,"attempts":3,"first_failure":"2026-05-28T20:26:40.123Z","last_error":"down"}`))
	f.Add([]byte(`{"version":9}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, again alert.Cursor
		if json.Unmarshal(b, &c) != nil {
			return
		}
		out, err := json.Marshal(c)
		if err != nil {
			return // a year that RFC 3339 cannot say in UTC
		}
		require.NoError(t, json.Unmarshal(out, &again))
		require.True(t, again.FirstFailure.Equal(c.FirstFailure) && again.NextTry.Equal(c.NextTry))
		again.FirstFailure, again.NextTry = c.FirstFailure, c.NextTry
		require.Equal(t, c, again)
	})
}
