CREATE TABLE {p}serve_schema (
	id     INTEGER PRIMARY KEY,
	digest TEXT NOT NULL UNIQUE,   -- SHA-256 of fields
	fields TEXT NOT NULL           -- JSON: [{"name":…,"kind":…}, …]
);

CREATE TABLE {p}serve_prediction (
	seq         INTEGER PRIMARY KEY,
	model       TEXT NOT NULL,
	id          TEXT NOT NULL,
	shadow      INTEGER NOT NULL,  -- 1 when variant is shadow
	version     INTEGER NOT NULL,
	variant     TEXT NOT NULL,
	key         TEXT NOT NULL,
	time        INTEGER NOT NULL,  -- UTC milliseconds
	schema_id   INTEGER NOT NULL,  -- of {p}serve_schema: the columns of features
	features    BLOB NOT NULL,
	output_kind TEXT NOT NULL,
	output      TEXT NOT NULL,
	scores      BLOB,              -- little-endian 64-bit floats
	propensity  REAL NOT NULL,
	latency     INTEGER NOT NULL   -- nanoseconds
);
CREATE UNIQUE INDEX {p}serve_prediction_id ON {p}serve_prediction (model, id, shadow);
CREATE INDEX {p}serve_prediction_seq ON {p}serve_prediction (model, seq);

CREATE TABLE {p}serve_label (
	seq   INTEGER PRIMARY KEY,
	model TEXT NOT NULL,
	id    TEXT NOT NULL,
	kind  TEXT NOT NULL,
	value TEXT NOT NULL,
	time  INTEGER NOT NULL         -- UTC milliseconds
);
CREATE UNIQUE INDEX {p}serve_label_id ON {p}serve_label (model, id);
CREATE INDEX {p}serve_label_seq ON {p}serve_label (model, seq);

CREATE TABLE {p}serve_route (
	model   TEXT PRIMARY KEY,
	primary_version INTEGER NOT NULL,
	canary_version  INTEGER NOT NULL,
	share   REAL NOT NULL,
	shadow_version  INTEGER NOT NULL,
	salt    TEXT NOT NULL,
	rev     INTEGER NOT NULL
);
