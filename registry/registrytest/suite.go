package registrytest

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
)

// testCase is one promise of the Store interface.
type testCase struct {
	name string
	why  string // what breaks for users when the case fails
	run  func(t *testing.T, s registry.Store)
}

// Run checks that a store keeps the promises of the registry.Store interface.
// newStore returns a new empty store each time, and sees to its end.
func Run(t *testing.T, newStore func(t *testing.T) registry.Store) {
	runCases(t, newStore, concurrencyCases())
	RunSerial(t, newStore)
}

// RunSerial is Run without what several goroutines do at once: for a store inside
// a transaction.
func RunSerial(t *testing.T, newStore func(t *testing.T) registry.Store) {
	for _, cases := range [][]testCase{modelCases(), versionCases(), aliasCases(), eventCases()} {
		runCases(t, newStore, cases)
	}
	t.Run("random operations", func(t *testing.T) { runRandom(t, newStore) })
}

func runCases(t *testing.T, newStore func(t *testing.T) registry.Store, cases []testCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("why it matters: %s", c.why)
				}
			})
			c.run(t, newStore(t))
		})
	}
}

// at is a time as the Client passes it: UTC milliseconds.
func at(ms int64) time.Time { return time.UnixMilli(1_780_000_000_000 + ms).UTC() }

// ask is an event as the Client passes it, before the store fills it in.
func ask(model, kind string) registry.Event {
	return registry.Event{Model: model, Kind: kind, Actor: "ann", Reason: "because", Time: at(7)}
}

// named is a model as the Client passes it.
func named(name string) registry.Model {
	return registry.Model{ID: "id of " + name, Name: name, CreatedAt: at(1)}
}

func createModel(t testing.TB, s registry.Store, name string) {
	t.Helper()
	e := ask(name, registry.ModelCreated)
	e.To = name
	require.NoError(t, s.CreateModel(t.Context(), named(name), e))
}

// candidate is a version as the Client passes it.
func candidate(model, digest, key string) registry.Version {
	return registry.Version{
		Model: model, Digest: digest, Key: key, State: registry.Candidate, CreatedAt: at(2),
		Lineage: registry.Lineage{RunID: "run", DataDigest: "data", Parent: 1, Code: "v1.2", DataFrom: at(-90_000), DataTo: at(-1), Rows: 17},
	}
}

// made is the event of a new version as the Client passes it.
func made(model, digest string) registry.Event {
	e := ask(model, registry.VersionCreated)
	e.To, e.Digest = string(registry.Candidate), digest
	return e
}

func createVersion(t testing.TB, s registry.Store, model, digest, key string) registry.Version {
	t.Helper()
	v, created, err := s.CreateVersion(t.Context(), candidate(model, digest, key), made(model, digest))
	require.NoError(t, err)
	require.True(t, created)
	return v
}

// move is what the Client asks for.
func move(model, alias string, from, to, token int64) registry.AliasMove {
	e := ask(model, registry.AliasSet)
	e.Alias, e.Version = alias, to
	if from != 0 {
		e.From = strconv.FormatInt(from, 10)
	}
	if to == 0 {
		e.Kind, e.Version = registry.AliasDeleted, from
	} else {
		e.To = strconv.FormatInt(to, 10)
	}
	return registry.AliasMove{Model: model, Alias: alias, From: from, To: to, Token: token, Event: e}
}

func setAlias(t testing.TB, s registry.Store, model, alias string, from, to int64) error {
	t.Helper()
	_, _, err := s.SetAlias(t.Context(), move(model, alias, from, to, 0))
	return err
}

func setState(t testing.TB, s registry.Store, model string, number int64, from, to registry.State) error {
	t.Helper()
	e := ask(model, registry.VersionState)
	e.Version, e.From, e.To = number, string(from), string(to)
	_, err := s.SetState(t.Context(), model, number, from, to, e)
	return err
}

// withVersions makes a model with n versions of the digests 1, 2, 3 …
func withVersions(t testing.TB, s registry.Store, model string, n int) {
	t.Helper()
	createModel(t, s, model)
	for i := range n {
		createVersion(t, s, model, strconv.Itoa(i+1), "")
	}
}

func events(t testing.TB, s registry.Store, model string) []registry.Event {
	t.Helper()
	all, err := s.Events(t.Context(), registry.EventQuery{Model: model})
	require.NoError(t, err)
	return all
}
