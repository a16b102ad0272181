CREATE TABLE {p}registry_model (
	id         TEXT PRIMARY KEY NOT NULL,
	name       TEXT NOT NULL UNIQUE CHECK (name <> ''),
	created_at BIGINT NOT NULL, -- UTC milliseconds, as every time here
	seq        BIGINT NOT NULL -- of its last event; every change of the model writes it
);

CREATE TABLE {p}registry_version (
	model       TEXT NOT NULL REFERENCES {p}registry_model (id),
	number      BIGINT NOT NULL CHECK (number > 0),
	seq         BIGINT NOT NULL CHECK (seq > 0), -- of the event that made it
	digest      TEXT NOT NULL,
	key         TEXT NOT NULL, -- '': none
	state       TEXT NOT NULL,
	run_id      TEXT NOT NULL,
	data_digest TEXT NOT NULL,
	parent      BIGINT NOT NULL,
	code        TEXT NOT NULL,
	data_from   BIGINT, -- NULL: unknown
	data_to     BIGINT,
	rows        BIGINT NOT NULL, -- 0: unknown
	created_at  BIGINT NOT NULL,
	PRIMARY KEY (model, number)
);

CREATE UNIQUE INDEX {n}registry_version_key ON {p}registry_version (model, key) WHERE key <> '';

CREATE TABLE {p}registry_alias (
	model    TEXT NOT NULL,
	name     TEXT NOT NULL CHECK (name <> ''),
	version  BIGINT, -- NULL: deleted; the row keeps the seq of its deletion
	seq      BIGINT NOT NULL CHECK (seq > 0), -- of the event that moved it
	moved_at BIGINT NOT NULL,
	PRIMARY KEY (model, name),
	FOREIGN KEY (model, version) REFERENCES {p}registry_version (model, number)
);

CREATE TABLE {p}registry_event (
	model   TEXT NOT NULL REFERENCES {p}registry_model (id),
	seq     BIGINT NOT NULL CHECK (seq > 0),
	version BIGINT NOT NULL, -- 0: about the model
	kind    TEXT NOT NULL,
	alias   TEXT NOT NULL,
	was     TEXT NOT NULL,
	became  TEXT NOT NULL,
	digest  TEXT NOT NULL,
	content TEXT NOT NULL,
	actor   TEXT NOT NULL,
	reason  TEXT NOT NULL,
	time    BIGINT NOT NULL,
	format  BIGINT NOT NULL, -- of the hash
	hash    TEXT NOT NULL,
	PRIMARY KEY (model, seq)
);

-- Who was champion then is one look back from the newest move.
CREATE INDEX {n}registry_event_alias ON {p}registry_event (model, alias, seq) WHERE alias <> '';

-- A model keeps its id, versions are immutable but for their state, and the audit
-- trail is append-only, both numbered without gaps: the database itself refuses
-- anything else. The triggers on insert are for INSERT OR REPLACE, which deletes
-- without a trigger.
CREATE TRIGGER {n}registry_model_immutable
BEFORE UPDATE OF id, created_at ON {p}registry_model
BEGIN SELECT RAISE(ABORT, 'a model keeps its id'); END;

CREATE TRIGGER {n}registry_model_kept
BEFORE DELETE ON {p}registry_model
BEGIN SELECT RAISE(ABORT, 'a model is never deleted'); END;

CREATE TRIGGER {n}registry_version_appended
BEFORE INSERT ON {p}registry_version
WHEN NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM {p}registry_version WHERE model = NEW.model)
BEGIN SELECT RAISE(ABORT, 'a new model version takes the next number'); END;

CREATE TRIGGER {n}registry_version_immutable
BEFORE UPDATE OF model, number, seq, digest, key, run_id, data_digest, parent, code, data_from, data_to, rows, created_at ON {p}registry_version
BEGIN SELECT RAISE(ABORT, 'a model version never changes'); END;

CREATE TRIGGER {n}registry_version_kept
BEFORE DELETE ON {p}registry_version
BEGIN SELECT RAISE(ABORT, 'a model version is never deleted'); END;

CREATE TRIGGER {n}registry_event_appended
BEFORE INSERT ON {p}registry_event
WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM {p}registry_event WHERE model = NEW.model)
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;

CREATE TRIGGER {n}registry_event_immutable
BEFORE UPDATE ON {p}registry_event
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;

CREATE TRIGGER {n}registry_event_kept
BEFORE DELETE ON {p}registry_event
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
