package sqlstore

import (
	"context"
	"database/sql"
	"sync"
)

// mostStatements bounds what is kept prepared: texts whose length depends on the
// data would add up otherwise.
const mostStatements = 256

// statements keeps statements of SQLite prepared from their second use on. For
// PostgreSQL pgx does so, as the URL asks for (default_query_exec_mode): what is
// prepared by name would be missed behind a PgBouncer in transaction mode.
type statements struct {
	pool *sql.DB

	mu     sync.Mutex
	ready  map[string]*sql.Stmt
	seen   map[string]bool
	wanted []string
	closed bool // nothing is prepared any more
}

func newStatements(pool *sql.DB, dialect Dialect) *statements {
	return &statements{pool: pool, ready: map[string]*sql.Stmt{}, seen: map[string]bool{}, closed: dialect != SQLite}
}

// known returns the prepared statement, nil when there is none, and remembers
// that it is wanted.
func (s *statements) known(text string) *sql.Stmt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt := s.ready[text]; stmt != nil || s.closed {
		return stmt
	}
	switch {
	case len(s.ready)+len(s.wanted) >= mostStatements:
	case !s.seen[text]:
		if len(s.seen) >= 4*mostStatements {
			clear(s.seen) // most of them were used once
		}
		s.seen[text] = true
	default:
		delete(s.seen, text)
		s.wanted = append(s.wanted, text)
	}
	return nil
}

// get is known, for a caller that holds no connection.
func (s *statements) get(ctx context.Context, text string) *sql.Stmt {
	stmt := s.known(text)
	if stmt == nil {
		s.prepareWanted(ctx)
	}
	return stmt
}

// prepareWanted prepares what was asked for before. The caller must hold no
// connection of the pool. What cannot be prepared fails when it is run.
func (s *statements) prepareWanted(ctx context.Context) {
	s.mu.Lock()
	wanted := s.wanted
	s.wanted = nil
	s.mu.Unlock()
	for _, text := range wanted {
		stmt, err := s.pool.PrepareContext(ctx, text)
		if err != nil {
			continue
		}
		s.mu.Lock()
		old := s.ready[text]
		if old == nil && !s.closed {
			s.ready[text], old, stmt = stmt, nil, nil
		}
		s.mu.Unlock()
		if stmt != nil {
			_ = stmt.Close() // another one was quicker
		}
	}
}

func (s *statements) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for text, stmt := range s.ready {
		_ = stmt.Close() // the pool may be closed already
		delete(s.ready, text)
	}
}
