package sqlstore

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Texts that are used once do not keep others from being prepared.
func TestStatementsAfterManyTexts(t *testing.T) {
	s := newStatements(nil, SQLite)
	for i := range 10 * mostStatements {
		require.Nil(t, s.known(fmt.Sprint("once ", i)))
	}
	require.LessOrEqual(t, len(s.seen), 4*mostStatements)
	s.known("often")
	s.known("often")
	require.Equal(t, []string{"often"}, s.wanted)
}
