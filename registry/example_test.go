package registry_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// pack makes a bundle of weights.
func pack(weights string) *bundle.Bundle {
	b, err := bundle.New(bundle.Spec{Flavor: "example", CreatedAt: time.Unix(1e9, 0)}, map[string][]byte{bundle.WeightsPart: []byte(weights)})
	if err != nil {
		panic(err)
	}
	return b
}

// Register a version, make it champion, load it.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "registry")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)

	store, err := registrysql.Open(ctx, "sqlite:"+filepath.Join(folder, "models.db"), nil)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	models := registry.New(store, artifact.Dir(filepath.Join(folder, "artifacts")), &registry.Options{Actor: "ann"})

	v, err := models.Register(ctx, "churn", pack("0.1 0.2"), nil)
	fmt.Println(v.Model, v.Number, v.State, err)
	champion, err := models.Promote(ctx, "churn", v.Number, 0, registry.Change{Reason: "first model"})
	fmt.Println(champion.Version, err)

	b, v, err := models.Load(ctx, "churn@champion") // every byte verified
	if err != nil {
		panic(err)
	}
	weights, err := b.ReadFile(bundle.WeightsPart)
	fmt.Println(v.Number, string(weights), err)
	// Output:
	// churn 1 candidate <nil>
	// 1 <nil>
	// 1 0.1 0.2 <nil>
}

// Of two who promote at once, one is told to look again.
func ExampleClient_Promote() {
	ctx := context.Background()
	models := registry.New(registrymem.New(), artifact.Memory(), nil)
	for _, weights := range []string{"1", "2", "3"} {
		if _, err := models.Register(ctx, "churn", pack(weights), nil); err != nil {
			panic(err)
		}
	}
	champion, err := models.Promote(ctx, "churn", 2, 0, registry.Change{Actor: "ann"})
	fmt.Println(champion.Version, err)
	_, err = models.Promote(ctx, "churn", 3, 0, registry.Change{Actor: "bob"})
	fmt.Println(errors.Is(err, registry.ErrConflict))
	fmt.Println(err)
	// Output:
	// 2 <nil>
	// true
	// registry: point churn@champion at version 3: it points at version 2, not 0 (0: none): look again
}

// Who changed what, and why; and what was champion then.
func ExampleClient_Events() {
	ctx := context.Background()
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	models := registry.New(registrymem.New(), artifact.Memory(), &registry.Options{Now: func() time.Time { return now }})
	for number, weights := range []string{"1", "2"} {
		now = now.AddDate(0, 0, 1)
		v, err := models.Register(ctx, "churn", pack(weights), &registry.Registration{Actor: "trainer"})
		if err != nil {
			panic(err)
		}
		if _, err := models.Promote(ctx, "churn", v.Number, int64(number), registry.Change{Actor: "ann", Reason: "better"}); err != nil {
			panic(err)
		}
	}

	for e, err := range models.Events(ctx, "churn", 0) {
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s %s: %s %s %d %q\n", e.Time.Format(time.DateOnly), e.Actor, e.Kind, e.Alias, e.Version, e.Reason)
	}
	v, err := models.ChampionAt(ctx, "churn", time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC))
	fmt.Println("champion on the 2nd:", v.Number, err)
	fmt.Println("nothing altered:", models.VerifyAudit(ctx, "churn", nil) == nil)
	// Output:
	// 2026-03-02 trainer: model.created  0 ""
	// 2026-03-02 trainer: version.created  1 ""
	// 2026-03-02 ann: alias.set champion 1 "better"
	// 2026-03-03 trainer: version.created  2 ""
	// 2026-03-03 ann: alias.set champion 2 "better"
	// champion on the 2nd: 1 <nil>
	// nothing altered: true
}

// A head that is kept elsewhere tells whether the trail was cut off or rewritten.
func ExampleClient_AuditHead() {
	ctx := context.Background()
	models := registry.New(registrymem.New(), artifact.Memory(), nil)
	if _, err := models.Register(ctx, "churn", pack("1"), nil); err != nil {
		panic(err)
	}
	public, private, err := ed25519.GenerateKey(nil) // in production, a key that the database does not hold
	if err != nil {
		panic(err)
	}
	head, err := models.AuditHead(ctx, "churn")
	if err != nil {
		panic(err)
	}
	head, err = head.Sign(private)
	if err != nil {
		panic(err)
	}
	text, err := json.Marshal(head) // to keep
	if err != nil {
		panic(err)
	}

	if _, err := models.Register(ctx, "churn", pack("2"), nil); err != nil {
		panic(err)
	}
	var kept registry.Head
	if err := json.Unmarshal(text, &kept); err != nil {
		panic(err)
	}
	fmt.Println(kept.Seq, kept.Verify(public), models.VerifyAudit(ctx, "churn", &kept))
	// Output: 2 <nil> <nil>
}
