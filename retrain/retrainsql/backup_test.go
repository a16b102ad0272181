package retrainsql_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train/frame"
)

// place is an empty database.
type place struct {
	url  string
	opts retrainsql.Options
}

// newPlace returns a file, or a schema on PostgreSQL, where there is one.
func newPlace(t *testing.T, dialect string) place {
	if dialect == "postgresql" {
		return place{pgtest.URL(t), retrainsql.Options{Schema: pgtest.Schema(t)}}
	}
	return place{"sqlite:" + filepath.Join(t.TempDir(), "loop.db") + "?synchronous=normal", retrainsql.Options{}}
}

func (p place) open(t *testing.T) *retrain.Stores {
	t.Helper()
	stores, err := retrainsql.Open(t.Context(), p.url, &p.opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stores.Close(context.Background())) })
	return stores
}

// write puts the n-th of everything into the stores.
func write(ctx context.Context, t testing.TB, s *retrain.Stores, n int) error {
	name := fmt.Sprintf("été %d", n)
	runs := tracking.New(s.Tracking, &tracking.Options{Artifacts: s.Artifacts})
	run, err := runs.Start(ctx, "churn", &tracking.RunOptions{Name: name, Tags: map[string]string{"n": name}})
	if err != nil {
		return err
	}
	run.LogParam("lr", name)
	run.LogMetric("loss", 1/float64(n+3), int64(n))
	if err := run.LogArtifact(ctx, "notes.txt", strings.NewReader("notes of "+name)); err != nil {
		return err
	}
	if err := run.Finish(ctx); err != nil {
		return err
	}
	if err := runs.Close(ctx); err != nil {
		return err
	}
	models := registry.New(s.Registry, s.Artifacts, &registry.Options{Actor: "test"})
	v, err := models.Register(ctx, "churn", registrytest.Bundle(t, name), &registry.Registration{Lineage: registry.Lineage{RunID: run.ID()}})
	if err != nil {
		return err
	}
	if _, err := models.SetAlias(ctx, "churn", fmt.Sprint("a", n%3), 0, v.Number, registry.Change{}); err != nil && n < 3 {
		return err
	}
	return writeRecords(ctx, s, n, name)
}

// writeRecords writes the n-th model's prediction, label, alert and records of a loop.
func writeRecords(ctx context.Context, s *retrain.Stores, n int, name string) error {
	at := time.UnixMilli(1_780_000_000_000 + int64(n)).UTC()
	model := fmt.Sprint("m", n)
	if err := predict(ctx, s.Serve, model, name); err != nil {
		return err
	}
	_, err := s.Serve.AppendLabels(ctx, []serve.Label{{Model: model, ID: name, Output: serve.LabelOutput, Value: frame.StringValue("stays"), Time: at}})
	if err != nil {
		return err
	}
	if err := s.Drift.Save(ctx, drift.Checkpoint{Model: model, Rev: 1, State: []byte{0, 255, byte(n)}}, []drift.Alert{{ID: name, Model: model, FiredAt: at, Magnitude: 1.0 / 3}}); err != nil {
		return err
	}
	lease, err := s.Retrain.AcquireLease(ctx, model, "somebody", time.Hour)
	if err != nil {
		return err
	}
	for _, err := range []error{
		s.Retrain.AppendEvent(ctx, retrain.Event{Model: "churn", Time: at, Kind: "promoted", Text: "\"quoted\"\n<b>", Key: name}),
		s.Retrain.PutRetraining(ctx, retrain.Retraining{ID: model + "/0", Model: model, Rev: 1, Token: lease.Token, Stage: retrain.Promoted}),
		s.Retrain.PutState(ctx, retrain.State{Model: model, Rev: 1, Token: lease.Token, Data: []byte("{}")}),
		s.Retrain.PutConfig(ctx, name, []byte("{}")),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func predict(ctx context.Context, log serve.Store, model, id string) error {
	srv := serve.New(nil, &serve.Options{Log: log})
	if err := srv.Add(model, 1, servetest.Constant("stays")); err != nil {
		return err
	}
	if err := srv.SetRoute(ctx, serve.Route{Model: model, Primary: 1}); err != nil {
		return err
	}
	if _, err := srv.Predict(ctx, model, serve.Request{ID: id, Inputs: servetest.X(1, 2.5)}); err != nil {
		return err
	}
	return srv.Close(ctx)
}

// TestBackupRoundTrip backs up each dialect while writers go on, and restores
// into each: every table comes out as it was at one moment.
func TestBackupRoundTrip(t *testing.T) {
	for _, from := range []string{"sqlite", "postgresql"} {
		for _, to := range []string{"sqlite", "postgresql"} {
			t.Run(from+" to "+to, func(t *testing.T) { checkRoundTrip(t, newPlace(t, from), newPlace(t, to)) })
		}
	}
}

// backupBesideAWriter backs up while the next are written, and returns how many
// had been written before, and could have been when it was made.
func backupBesideAWriter(t *testing.T, s *retrain.Stores, dir string, next int) (backup retrain.Backup, before, after int64) {
	stop, started := make(chan struct{}), make(chan struct{})
	var written atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := next; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if !assert.NoError(t, write(context.Background(), t, s, n)) {
				return
			}
			written.Store(int64(n + 1))
			if n == next+1 {
				close(started)
			}
		}
	})
	<-started
	before = written.Load()
	backup, err := s.Backup(t.Context(), dir)
	require.NoError(t, err)
	after = written.Load() + 1
	close(stop)
	wg.Wait()
	return backup, before, after
}

func checkRoundTrip(t *testing.T, from, to place) {
	s := from.open(t)
	for n := range 5 {
		require.NoError(t, write(t.Context(), t, s, n))
	}
	dir := filepath.Join(t.TempDir(), "backup")
	backup, before, after := backupBesideAWriter(t, s, dir, 5)
	require.Empty(t, backup.Missing)
	require.Positive(t, backup.Rows)
	require.Positive(t, backup.Bytes)

	restored, err := retrainsql.Restore(t.Context(), to.url, dir, &to.opts)
	require.NoError(t, err)
	require.Equal(t, backup, restored)
	r := to.open(t)
	checkRestored(t, r, before, after)
	again := filepath.Join(t.TempDir(), "again")
	same, err := r.Backup(t.Context(), again)
	require.NoError(t, err)
	require.Equal(t, backup.Artifacts, same.Artifacts)
	require.Equal(t, sums(t, dir), sums(t, again), "a backup of what was restored has the same rows")
	require.NoError(t, write(t.Context(), t, r, 1000), "what was restored can be written to")
}

// checkRestored reads what came out through the stores.
func checkRestored(t *testing.T, s *retrain.Stores, least, most int64) {
	ctx := t.Context()
	models := registry.New(s.Registry, s.Artifacts, nil)
	versions := int64(0)
	for v, err := range models.Versions(ctx, "churn") {
		require.NoError(t, err)
		_, _, err = models.Load(ctx, registry.VersionRef("churn", v.Number))
		require.NoError(t, err)
		versions++
	}
	require.GreaterOrEqual(t, versions, least)
	require.LessOrEqual(t, versions, most)
	runs, _, err := s.Tracking.Runs(ctx, tracking.RunQuery{})
	require.NoError(t, err)
	require.GreaterOrEqual(t, int64(len(runs)), versions, "a version's run is older than it")
	for _, r := range runs {
		if r.Status == tracking.Finished {
			require.Len(t, r.Artifacts, 1)
			_, err := s.Artifacts.Stat(ctx, r.Artifacts[0].Digest)
			require.NoError(t, err)
		}
	}
	counts, err := s.Serve.Counts(ctx, "m1")
	require.NoError(t, err)
	require.EqualValues(t, [2]int64{2, 1}, [2]int64{counts.Predictions, counts.Labels})
	events, err := s.Retrain.Events(ctx, retrain.EventQuery{Model: "churn"})
	require.NoError(t, err)
	require.Equal(t, "\"quoted\"\n<b>", events[0].Text)
	lease, err := s.Retrain.AcquireLease(ctx, "m1", "another", time.Minute)
	require.NoError(t, err, "nobody holds a restored lease")
	require.EqualValues(t, 2, lease.Token, "and its tokens go on")
}

// sums is the part of a manifest that says what the tables hold.
func sums(t *testing.T, dir string) string {
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	require.NoError(t, err)
	_, tables, _ := strings.Cut(string(raw), `"tables"`)
	tables, _, _ = strings.Cut(tables, "]")
	var kept []string
	for line := range strings.Lines(tables) {
		if !strings.Contains(line, `"last"`) {
			kept = append(kept, strings.TrimRight(line, ",\n"))
		}
	}
	text := strings.Join(kept, "\n")
	_, rest, found := strings.Cut(text, `"retrain_model"`) // the leases were let go
	require.True(t, found)
	head, _, _ := strings.Cut(text, `"retrain_model"`)
	_, rest, _ = strings.Cut(rest, "}")
	return head + rest
}

// spoilt is a backup with another file in it, and how it is refused.
type spoilt struct {
	file    string
	content []byte // nil: it is taken away
	kind    error
	text    string
}

// refuse restores the good backup, spoilt, and then as it was into the same database.
func refuse(t *testing.T, good string, spoil spoilt) {
	dir := filepath.Join(t.TempDir(), "spoilt")
	require.NoError(t, os.CopyFS(dir, os.DirFS(good)))
	file := filepath.Join(dir, spoil.file)
	require.NoError(t, os.Remove(file))
	if spoil.content != nil {
		require.NoError(t, os.WriteFile(file, spoil.content, 0o600))
	}
	to := newPlace(t, "sqlite")
	_, err := retrainsql.Restore(t.Context(), to.url, dir, &to.opts)
	require.ErrorIs(t, err, spoil.kind)
	require.ErrorContains(t, err, spoil.text)
	_, err = retrainsql.Restore(t.Context(), to.url, good, &to.opts)
	require.NoError(t, err, "nothing of the refused one is left")
}

// TestBackupThatCannotBeRestored spoils a backup in many ways: each is refused,
// and leaves the database as empty as it was.
func TestBackupThatCannotBeRestored(t *testing.T) {
	s := newPlace(t, "sqlite").open(t)
	for n := range 3 {
		require.NoError(t, write(t.Context(), t, s, n))
	}
	good := filepath.Join(t.TempDir(), "backup")
	_, err := s.Backup(t.Context(), good)
	require.NoError(t, err)
	rows, err := os.ReadFile(filepath.Join(good, "rows.jsonl.gz"))
	require.NoError(t, err)
	manifest, err := os.ReadFile(filepath.Join(good, "manifest.json"))
	require.NoError(t, err)
	artifacts, err := filepath.Glob(filepath.Join(good, "artifacts", "*", "*", "*"))
	require.NoError(t, err)
	for name, spoil := range map[string]spoilt{
		"cut short before the manifest": {"manifest.json", nil, fault.Corrupt, "the backup was cut short"},
		"rows cut short":                {"rows.jsonl.gz", rows[:len(rows)/2], fault.Corrupt, "is damaged"},
		"a flipped bit":                 {"rows.jsonl.gz", flip(rows), fault.Corrupt, "is damaged"},
		"no rows":                       {"rows.jsonl.gz", nil, fault.Corrupt, "is missing"},
		"no manifest":                   {"manifest.json", []byte("{"), fault.Corrupt, "manifest.json"},
		"of a newer release":            {"manifest.json", []byte(`{"format": 2}`), fault.Unsupported, "run the newer mlloop"},
		"newer tables":                  {"manifest.json", []byte(strings.Replace(string(manifest), `"drift": 1`, `"drift": 9`, 1)), fault.Unsupported, "run the newer mlloop"},
		"an artifact is missing":        {relative(t, good, artifacts[0]), nil, fault.Corrupt, "missing from the backup"},
		"an artifact is damaged":        {relative(t, good, artifacts[1]), []byte("spoilt"), fault.Corrupt, "damaged"},
		"another head":                  {"manifest.json", []byte(strings.Replace(string(manifest), `"hash": "`, `"hash": "00`, 1)), fault.Corrupt, "audit"},
		"another sum":                   {"manifest.json", []byte(strings.Replace(string(manifest), `"sum": "`, `"sum": "00`, 1)), fault.Corrupt, "came out with"},
	} {
		t.Run(name, func(t *testing.T) {
			refuse(t, good, spoil)
		})
	}
}

func flip(b []byte) []byte {
	c := append([]byte{}, b...)
	c[len(c)/2] ^= 1
	return c
}

func relative(t *testing.T, dir, file string) string {
	rel, err := filepath.Rel(dir, file)
	require.NoError(t, err)
	return rel
}

// TestRestoreOnlyIntoNothing restores twice, and backs up twice.
func TestRestoreOnlyIntoNothing(t *testing.T) {
	from, to := newPlace(t, "sqlite"), newPlace(t, "sqlite")
	s := from.open(t)
	require.NoError(t, write(t.Context(), t, s, 0))
	dir := filepath.Join(t.TempDir(), "deep", "backup")
	_, err := s.Backup(t.Context(), dir)
	require.NoError(t, err)
	_, err = s.Backup(t.Context(), dir)
	require.ErrorIs(t, err, fault.AlreadyExists)
	_, err = retrainsql.Restore(t.Context(), to.url, dir, &to.opts)
	require.NoError(t, err)
	_, err = retrainsql.Restore(t.Context(), to.url, dir, &to.opts)
	require.ErrorIs(t, err, fault.AlreadyExists)
	require.ErrorContains(t, err, "restore into an empty database")
	_, err = retrainsql.Restore(t.Context(), to.url, filepath.Join(dir, "none"), &to.opts)
	require.ErrorIs(t, err, fault.NotFound)

	replaced := *s
	replaced.Drift = to.open(t).Drift
	_, err = replaced.Backup(t.Context(), filepath.Join(t.TempDir(), "b"))
	require.ErrorIs(t, err, fault.Unsupported)
	replaced.Archive = nil
	_, err = replaced.Backup(t.Context(), filepath.Join(t.TempDir(), "b"))
	require.ErrorIs(t, err, fault.Unsupported)
}

// TestBackupSaysWhatIsMissing loses an artifact of a run before the backup.
func TestBackupSaysWhatIsMissing(t *testing.T) {
	from, to := newPlace(t, "sqlite"), newPlace(t, "sqlite")
	s := from.open(t)
	for n := range 2 {
		require.NoError(t, write(t.Context(), t, s, n))
	}
	runs, _, err := s.Tracking.Runs(t.Context(), tracking.RunQuery{})
	require.NoError(t, err)
	lost := runs[0].Artifacts[0].Digest
	require.NoError(t, s.Artifacts.Delete(t.Context(), lost))
	dir := filepath.Join(t.TempDir(), "backup")
	backup, err := s.Backup(t.Context(), dir)
	require.NoError(t, err)
	require.Equal(t, []string{lost}, backup.Missing)
	restored, err := retrainsql.Restore(t.Context(), to.url, dir, &to.opts)
	require.NoError(t, err)
	require.Equal(t, backup, restored)
}

// TestSignedBackup restores with a key that the database does not know.
func TestSignedBackup(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	other, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	from, to := newPlace(t, "sqlite"), newPlace(t, "sqlite")
	signed, unsigned := filepath.Join(t.TempDir(), "s"), filepath.Join(t.TempDir(), "u")
	s := from.open(t)
	require.NoError(t, write(t.Context(), t, s, 0))
	_, err = s.Backup(t.Context(), unsigned)
	require.NoError(t, err)
	from.opts.Signer = private
	_, err = from.open(t).Backup(t.Context(), signed)
	require.NoError(t, err)

	to.opts.Trusted = other
	_, err = retrainsql.Restore(t.Context(), to.url, signed, &to.opts)
	require.ErrorIs(t, err, fault.Corrupt)
	to.opts.Trusted = public
	_, err = retrainsql.Restore(t.Context(), to.url, unsigned, &to.opts)
	require.ErrorIs(t, err, fault.Corrupt)
	_, err = retrainsql.Restore(t.Context(), to.url, signed, &to.opts)
	require.NoError(t, err)
}

// TestBackupCutShort ends a backup's context at every stage of it: what is left
// is refused.
func TestBackupCutShort(t *testing.T) {
	from := newPlace(t, "sqlite")
	s := from.open(t)
	for n := range 3 {
		require.NoError(t, write(t.Context(), t, s, n))
	}
	cut := 0
	for most := 1; ; most += most/2 + 1 {
		ctx := &countdown{Context: t.Context(), done: make(chan struct{})}
		ctx.left.Store(int64(most))
		dir := filepath.Join(t.TempDir(), "backup")
		_, err := s.Backup(ctx, dir)
		if err == nil {
			break
		}
		cut++
		require.ErrorIs(t, err, context.Canceled)
		to := newPlace(t, "sqlite")
		_, err = retrainsql.Restore(t.Context(), to.url, dir, nil)
		require.Error(t, err)
		if _, missing := os.Stat(dir); missing == nil {
			require.ErrorIs(t, err, fault.Corrupt)
			require.ErrorContains(t, err, "was cut short")
		}
	}
	require.Greater(t, cut, 3)
}

// countdown is a context that is cancelled once it has been asked so often.
type countdown struct {
	context.Context
	left atomic.Int64
	once sync.Once
	done chan struct{}
}

func (c *countdown) Err() error {
	if c.left.Add(-1) >= 0 {
		return c.Context.Err()
	}
	c.once.Do(func() { close(c.done) })
	return context.Canceled
}

func (c *countdown) Done() <-chan struct{} {
	_ = c.Err()
	return c.done
}

// TestBackupIntoNowhere asks for a folder that cannot be made.
func TestBackupIntoNowhere(t *testing.T) {
	s := newPlace(t, "sqlite").open(t)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := s.Backup(t.Context(), filepath.Join(file, "backup"))
	require.ErrorIs(t, err, fault.Unavailable)
}
