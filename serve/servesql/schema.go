package servesql

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/train/frame"
)

// schemas remembers what {p}serve_schema holds: the columns of logged features
// are stored once, and a prediction names them by number.
type schemas struct {
	mu       sync.Mutex
	byDigest map[string]int64
	byID     map[int64]frame.Schema
}

func newSchemas() *schemas {
	return &schemas{byDigest: map[string]int64{}, byID: map[int64]frame.Schema{}}
}

const (
	// It changes nothing where the schema is stored, but for telling its number.
	insertSchema = `INSERT INTO {p}serve_schema (digest, fields) VALUES (?, ?)
		ON CONFLICT (digest) DO UPDATE SET digest = excluded.digest RETURNING id`
	schemaFields = `SELECT fields, digest FROM {p}serve_schema WHERE id = ?`
)

// schemaCursor finds the number of one prediction's schema after the other.
type schemaCursor struct {
	store  *Store
	before frame.Schema
	found  int64 // the number of before; 0: none yet
}

// number returns the schema's number, storing it when the database lacks it in
// a transaction of its own: a schema without predictions does no harm.
func (c *schemaCursor) number(ctx context.Context, schema frame.Schema) (int64, error) {
	if c.found > 0 && c.before.Equal(schema) {
		return c.found, nil
	}
	n, err := c.store.number(ctx, schema)
	if err == nil {
		c.before, c.found = schema, n
	}
	return n, err
}

func (s *Store) number(ctx context.Context, schema frame.Schema) (int64, error) {
	if schema == nil {
		schema = frame.Schema{}
	}
	fields, err := json.Marshal(schema)
	if err != nil {
		return 0, err
	}
	sum := sha256.Sum256(fields)
	digest := hex.EncodeToString(sum[:])
	s.schemas.mu.Lock()
	n, ok := s.schemas.byDigest[digest]
	s.schemas.mu.Unlock()
	if ok {
		return n, nil
	}
	err = s.db.Tx(ctx, func(tx *sqlstore.Tx) error { return tx.QueryRow(ctx, insertSchema, digest, string(fields)).Scan(&n) })
	if err != nil || s.db.InTx() { // the service's transaction may be rolled back
		return n, err
	}
	s.schemas.mu.Lock()
	defer s.schemas.mu.Unlock()
	s.schemas.byDigest[digest] = n
	return n, nil
}

// schema returns the columns with a number. Errors: Corrupt.
func (s *Store) schema(ctx context.Context, number int64) (frame.Schema, error) {
	s.schemas.mu.Lock()
	schema, ok := s.schemas.byID[number]
	s.schemas.mu.Unlock()
	if ok {
		return schema, nil
	}
	var fields, digest string
	err := s.db.QueryRow(ctx, schemaFields, number).Scan(&fields, &digest)
	if fault.Kind(err) == fault.NotFound {
		return nil, fault.Errorf(fault.Corrupt, "schema %d is missing", number)
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(fields))
	if hex.EncodeToString(sum[:]) != digest {
		return nil, fault.Errorf(fault.Corrupt, "schema %d differs from its digest", number)
	}
	if err := json.Unmarshal([]byte(fields), &schema); err != nil {
		return nil, fault.Errorf(fault.Corrupt, "schema %d: %w", number, err)
	}
	if s.db.InTx() {
		return schema, nil
	}
	s.schemas.mu.Lock()
	defer s.schemas.mu.Unlock()
	s.schemas.byID[number] = schema
	return schema, nil
}
