package sqlstore

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
)

func TestOldServersAreRefused(t *testing.T) {
	for number, said := range map[int]string{90624: "9.624", 120017: "PostgreSQL 12.17 is too old: want 13 or later"} {
		err := checkVersion(number)
		require.ErrorIs(t, err, fault.Unsupported)
		require.ErrorContains(t, err, said)
	}
	require.NoError(t, checkVersion(130000))
	require.NoError(t, checkVersion(180001))
}

func TestMarks(t *testing.T) {
	n := names{dialect: PostgreSQL, prefix: "p_", schema: "s"}
	require.Equal(t, `SELECT '?', $1 FROM "s".p_t WHERE a = 'it''s ?' AND b = $2`, n.statement(`SELECT '?', ? FROM {p}t WHERE a = 'it''s ?' AND b = ?`))
	n = names{dialect: SQLite, prefix: "p_"}
	require.Equal(t, `SELECT ? FROM p_t`, n.statement(`SELECT ? FROM {p}t`))
}
