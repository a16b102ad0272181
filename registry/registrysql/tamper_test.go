package registrysql_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// history is a model with three versions; the champion is version 1.
func history(t *testing.T, db *sqlstore.DB) *registry.Client {
	models := registry.New(registrysql.New(db), artifact.Memory(), nil)
	for _, content := range []string{"1", "2", "3"} {
		_, err := models.Register(t.Context(), "m", registrytest.Bundle(t, content), nil)
		require.NoError(t, err)
	}
	_, err := models.Promote(t.Context(), "m", 1, 0, registry.Change{})
	require.NoError(t, err)
	return models
}

func TestTheDatabaseRefusesToRewriteHistory(t *testing.T) {
	databases(t, func(t *testing.T, db *sqlstore.DB) {
		models := history(t, db)
		attacks := map[string]string{
			`UPDATE {p}registry_event SET actor = 'nobody'`: "the audit trail is append-only",
			`DELETE FROM {p}registry_event`:                 "the audit trail is append-only",
			`DELETE FROM {p}registry_event WHERE seq = 3`:   "the audit trail is append-only",
			`INSERT INTO {p}registry_event SELECT model, 9, version, kind, alias, was, became, digest, content, actor, reason, time, format, hash FROM {p}registry_event WHERE seq = 2`: "the audit trail is append-only",
			`UPDATE {p}registry_version SET digest = 'x'`:                "a model version never changes",
			`UPDATE {p}registry_version SET data_to = NULL`:              "a model version never changes",
			`UPDATE {p}registry_version SET number = 4 WHERE number = 2`: "a model version never changes",
			`DELETE FROM {p}registry_version`:                            "a model version is never deleted",
			`UPDATE {p}registry_model SET id = 'x'`:                      "a model keeps its id",
			`DELETE FROM {p}registry_model`:                              "a model is never deleted",
			`INSERT INTO {p}registry_version SELECT model, 9, seq, digest, key, state, run_id, data_digest, parent, code, data_from, data_to, rows, created_at FROM {p}registry_version WHERE number = 1`: "a new model version takes the next number",
		}
		if db.Dialect() == sqlstore.PostgreSQL {
			attacks[`TRUNCATE {p}registry_event`] = "the audit trail is append-only"
			attacks[`TRUNCATE {p}registry_version CASCADE`] = "a model version is never deleted"
		} else {
			attacks[`INSERT OR REPLACE INTO {p}registry_event SELECT model, seq, version, kind, alias, was, became, digest, content, 'nobody', reason, time, format, hash FROM {p}registry_event WHERE seq = 2`] = "the audit trail is append-only"
			attacks[`INSERT OR REPLACE INTO {p}registry_version SELECT model, number, seq, 'x', key, state, run_id, data_digest, parent, code, data_from, data_to, rows, created_at FROM {p}registry_version WHERE number = 1`] = "a new model version takes the next number"
		}
		for attack, want := range attacks {
			_, err := db.Exec(t.Context(), attack)
			require.ErrorContains(t, err, want, attack)
		}
		registrytest.RequireConsistent(t, models, "m")
	})
}

// Who takes the triggers away, or changes what has none, is found out.
func TestWhatIsChangedBesideTheTrailIsFound(t *testing.T) {
	evil := registrytest.Bundle(t, "evil")
	for _, tamper := range []struct {
		statement, trigger, table, audit, ref string
	}{
		{`UPDATE {p}registry_alias SET version = 2`, "", "", "alias champion points at version 2", "m@champion"},
		{`UPDATE {p}registry_alias SET version = 2, seq = 3`, "", "", "alias champion points at version 2", "m@champion"},
		{`UPDATE {p}registry_alias SET moved_at = moved_at - 1`, "", "", "alias champion was moved at", "m@champion"},
		{`UPDATE {p}registry_model SET created_at = created_at - 1`, "model_immutable", "model", "the model was created at", ""},
		{`DELETE FROM {p}registry_alias`, "", "", "alias champion points at version 0", ""},
		{`UPDATE {p}registry_version SET state = 'approved' WHERE number = 2`, "", "", "version 2 is approved in its table, candidate", ""},
		{`UPDATE {p}registry_model SET name = 'm2'`, "", "", `"m2" in its table, "m" by the trail`, ""},
		{`UPDATE {p}registry_version SET digest = '` + evil.Digest() + `' WHERE number = 1`, "version_immutable", "version", "version 1 has the digest " + evil.Digest(), "m@champion"},
		{`UPDATE {p}registry_version SET run_id = 'forged' WHERE number = 1`, "version_immutable", "version", "version 1: its key, lineage or time", "m/1"},
		{`DELETE FROM {p}registry_version WHERE number = 3`, "version_kept", "version", "version 3 is in the trail and missing", ""},
		{`UPDATE {p}registry_event SET reason = 'forged' WHERE seq = 2`, "event_immutable", "event", "event 2 does not fit its hash", "m/1"},
		{`DELETE FROM {p}registry_event WHERE seq = 3`, "event_kept", "event", "event 4 follows event 2", "m/2"},
	} {
		t.Run(tamper.statement, func(t *testing.T) {
			databases(t, func(t *testing.T, db *sqlstore.DB) {
				models := history(t, db)
				_, err := models.Put(t.Context(), evil)
				require.NoError(t, err)
				dropTrigger(t, db, tamper.trigger, tamper.table)
				_, err = db.Exec(t.Context(), tamper.statement)
				require.NoError(t, err)
				name := "m"
				if tamper.ref == "" {
					if _, err := models.Model(t.Context(), name); err != nil {
						name = "m2"
					}
				}
				err = models.VerifyAudit(t.Context(), name, nil)
				require.ErrorIs(t, err, registry.ErrCorrupt)
				require.ErrorContains(t, err, tamper.audit)
				if tamper.ref != "" {
					_, _, err = models.Load(t.Context(), tamper.ref)
					require.ErrorIs(t, err, registry.ErrCorrupt)
				}
			})
		})
	}
}

// A row that is put back to what it was once fits an event, but not the newest.
func TestAliasesThatArePutBackAreFound(t *testing.T) {
	databases(t, func(t *testing.T, db *sqlstore.DB) {
		models := history(t, db)
		_, err := models.Promote(t.Context(), "m", 2, 1, registry.Change{})
		require.NoError(t, err)
		_, err = models.Resolve(t.Context(), "m@champion")
		require.NoError(t, err)
		_, err = db.Exec(t.Context(), `UPDATE {p}registry_alias SET version = 1, seq = 5, moved_at = (SELECT time FROM {p}registry_event WHERE seq = 5)`)
		require.NoError(t, err)
		for _, client := range []*registry.Client{models, registry.New(registrysql.New(db), artifact.Memory(), nil)} {
			_, err = client.Resolve(t.Context(), "m@champion")
			require.ErrorIs(t, err, registry.ErrCorrupt)
			require.ErrorContains(t, err, "event 6 moved it since")
		}
	})
}

// Who was champion is told by events that nobody changed.
func TestChampionAtOfAForgedEvent(t *testing.T) {
	databases(t, func(t *testing.T, db *sqlstore.DB) {
		models := history(t, db)
		dropTrigger(t, db, "event_immutable", "event")
		_, err := db.Exec(t.Context(), `UPDATE {p}registry_event SET became = '3', version = 3 WHERE seq = 5`)
		require.NoError(t, err)
		_, err = models.ChampionAt(t.Context(), "m", time.Now().Add(time.Hour))
		require.ErrorIs(t, err, registry.ErrCorrupt)
	})
}

// A model whose row names an event that is not there takes no change, and says why.
func TestModelsWhoseLastEventIsMissing(t *testing.T) {
	databases(t, func(t *testing.T, db *sqlstore.DB) {
		models := history(t, db)
		_, err := db.Exec(t.Context(), `UPDATE {p}registry_model SET seq = 99`)
		require.NoError(t, err)
		_, err = models.Register(t.Context(), "m", registrytest.Bundle(t, "4"), nil)
		require.ErrorIs(t, err, registry.ErrCorrupt)
		require.ErrorContains(t, err, "its last event, 99, is missing")
	})
}

func dropTrigger(t *testing.T, db *sqlstore.DB, trigger, table string) {
	if trigger == "" {
		return
	}
	statement := `DROP TRIGGER {n}registry_` + trigger
	if db.Dialect() == sqlstore.PostgreSQL {
		if trigger == "event_kept" {
			trigger = "event_immutable" // one trigger for all
		}
		statement = `ALTER TABLE {p}registry_` + table + ` DISABLE TRIGGER {n}registry_` + trigger
	}
	_, err := db.Exec(t.Context(), statement)
	require.NoError(t, err)
}
