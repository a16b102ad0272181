CREATE TABLE {p}registry_model (
	id         TEXT COLLATE "C" PRIMARY KEY NOT NULL,
	name       TEXT COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
	created_at BIGINT NOT NULL, -- UTC milliseconds, as every time here
	seq        BIGINT NOT NULL -- of its last event; every change of the model writes it
);

CREATE TABLE {p}registry_version (
	model       TEXT COLLATE "C" NOT NULL REFERENCES {p}registry_model (id),
	number      BIGINT NOT NULL CHECK (number > 0),
	seq         BIGINT NOT NULL CHECK (seq > 0), -- of the event that made it
	digest      TEXT COLLATE "C" NOT NULL,
	key         TEXT COLLATE "C" NOT NULL, -- '': none
	state       TEXT COLLATE "C" NOT NULL,
	run_id      TEXT COLLATE "C" NOT NULL,
	data_digest TEXT COLLATE "C" NOT NULL,
	parent      BIGINT NOT NULL,
	code        TEXT COLLATE "C" NOT NULL,
	data_from   BIGINT, -- NULL: unknown
	data_to     BIGINT,
	rows        BIGINT NOT NULL, -- 0: unknown
	created_at  BIGINT NOT NULL,
	PRIMARY KEY (model, number)
);

CREATE UNIQUE INDEX {n}registry_version_key ON {p}registry_version (model, key) WHERE key <> '';

CREATE TABLE {p}registry_alias (
	model    TEXT COLLATE "C" NOT NULL,
	name     TEXT COLLATE "C" NOT NULL CHECK (name <> ''),
	version  BIGINT, -- NULL: deleted; the row keeps the seq of its deletion
	seq      BIGINT NOT NULL CHECK (seq > 0), -- of the event that moved it
	moved_at BIGINT NOT NULL,
	PRIMARY KEY (model, name),
	FOREIGN KEY (model, version) REFERENCES {p}registry_version (model, number)
);

CREATE TABLE {p}registry_event (
	model   TEXT COLLATE "C" NOT NULL REFERENCES {p}registry_model (id),
	seq     BIGINT NOT NULL CHECK (seq > 0),
	version BIGINT NOT NULL, -- 0: about the model
	kind    TEXT COLLATE "C" NOT NULL,
	alias   TEXT COLLATE "C" NOT NULL,
	was     TEXT COLLATE "C" NOT NULL,
	became  TEXT COLLATE "C" NOT NULL,
	digest  TEXT COLLATE "C" NOT NULL,
	content TEXT COLLATE "C" NOT NULL,
	actor   TEXT COLLATE "C" NOT NULL,
	reason  TEXT COLLATE "C" NOT NULL,
	time    BIGINT NOT NULL,
	format  BIGINT NOT NULL, -- of the hash
	hash    TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (model, seq)
);

-- Who was champion then is one look back from the newest move.
CREATE INDEX {n}registry_event_alias ON {p}registry_event (model, alias, seq) WHERE alias <> '';

-- A model keeps its id, versions are immutable but for their state, and the audit
-- trail is append-only, both numbered without gaps: the database itself refuses
-- anything else.
CREATE FUNCTION {p}registry_refuse() RETURNS trigger LANGUAGE plpgsql AS $refuse$
BEGIN RAISE EXCEPTION '%', TG_ARGV[0]; END
$refuse$;

CREATE FUNCTION {p}registry_version_next() RETURNS trigger LANGUAGE plpgsql AS $next$
BEGIN
	IF NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM {p}registry_version WHERE model = NEW.model) THEN
		RAISE EXCEPTION 'a new model version takes the next number';
	END IF;
	RETURN NEW;
END
$next$;

CREATE FUNCTION {p}registry_event_next() RETURNS trigger LANGUAGE plpgsql AS $next$
BEGIN
	IF NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM {p}registry_event WHERE model = NEW.model) THEN
		RAISE EXCEPTION 'the audit trail is append-only';
	END IF;
	RETURN NEW;
END
$next$;

CREATE TRIGGER {n}registry_model_immutable
BEFORE UPDATE OF id, created_at ON {p}registry_model
FOR EACH ROW EXECUTE FUNCTION {p}registry_refuse('a model keeps its id');

CREATE TRIGGER {n}registry_model_kept
BEFORE DELETE OR TRUNCATE ON {p}registry_model
FOR EACH STATEMENT EXECUTE FUNCTION {p}registry_refuse('a model is never deleted');

CREATE TRIGGER {n}registry_version_appended
BEFORE INSERT ON {p}registry_version
FOR EACH ROW EXECUTE FUNCTION {p}registry_version_next();

CREATE TRIGGER {n}registry_version_immutable
BEFORE UPDATE OF model, number, seq, digest, key, run_id, data_digest, parent, code, data_from, data_to, rows, created_at ON {p}registry_version
FOR EACH ROW EXECUTE FUNCTION {p}registry_refuse('a model version never changes');

CREATE TRIGGER {n}registry_version_kept
BEFORE DELETE OR TRUNCATE ON {p}registry_version
FOR EACH STATEMENT EXECUTE FUNCTION {p}registry_refuse('a model version is never deleted');

CREATE TRIGGER {n}registry_event_appended
BEFORE INSERT ON {p}registry_event
FOR EACH ROW EXECUTE FUNCTION {p}registry_event_next();

CREATE TRIGGER {n}registry_event_immutable
BEFORE UPDATE OR DELETE OR TRUNCATE ON {p}registry_event
FOR EACH STATEMENT EXECUTE FUNCTION {p}registry_refuse('the audit trail is append-only');
