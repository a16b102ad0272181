package retraindbos

import (
	"testing"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/sqlstore"
)

// SetHost makes the engine's machine another one, whose processes nobody else sees.
func (e *Engine) SetHost(host string) { e.host = host }

// HalfCancel is as much of Cancel as stops the first try.
func (e *Engine) HalfCancel(id string) error {
	_, err := e.stopTry(e.dbos, try{id: id, number: 1, status: dbos.WorkflowStatus{ID: tryID(id, 1)}})
	return err
}

// Rows counts all that DBOS keeps of workflows.
func (e *Engine) Rows(t *testing.T) (n int) {
	t.Helper()
	schema := ""
	if e.db.Dialect() == sqlstore.PostgreSQL {
		schema = `"` + e.schema() + `".`
	}
	for _, table := range []string{"workflow_status", "workflow_input", "workflow_output", "operation_outputs"} {
		var rows int
		require.NoError(t, e.db.QueryRow(t.Context(), "SELECT count(*) FROM "+schema+table).Scan(&rows))
		if t.Logf("%s: %d rows", table, rows); rows > 0 {
			n += rows
		}
	}
	return n
}
