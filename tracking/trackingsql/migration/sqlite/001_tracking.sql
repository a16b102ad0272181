-- Times are UTC milliseconds since 1970.

CREATE TABLE {p}tracking_experiment (
	id         TEXT   NOT NULL PRIMARY KEY,
	name       TEXT   NOT NULL UNIQUE,
	created_at BIGINT NOT NULL
);

-- num is short where id is long: the tables below refer to it.
CREATE TABLE {p}tracking_run (
	num           INTEGER NOT NULL PRIMARY KEY,
	id            TEXT    NOT NULL UNIQUE,
	experiment_id TEXT    NOT NULL REFERENCES {p}tracking_experiment (id),
	name          TEXT    NOT NULL,
	status        TEXT    NOT NULL,
	started_at    BIGINT  NOT NULL,
	ended_at      BIGINT,
	error         TEXT    NOT NULL,
	rev           BIGINT  NOT NULL
);
CREATE INDEX {n}tracking_run_by_start ON {p}tracking_run (started_at, id);
CREATE INDEX {n}tracking_run_by_experiment ON {p}tracking_run (experiment_id, started_at, id);

CREATE TABLE {p}tracking_param (
	run   INTEGER NOT NULL REFERENCES {p}tracking_run (num),
	key   TEXT    NOT NULL,
	value TEXT    NOT NULL,
	PRIMARY KEY (run, key)
) WITHOUT ROWID;

CREATE TABLE {p}tracking_tag (
	run   INTEGER NOT NULL REFERENCES {p}tracking_run (num),
	key   TEXT    NOT NULL,
	value TEXT    NOT NULL,
	PRIMARY KEY (run, key)
) WITHOUT ROWID;

CREATE TABLE {p}tracking_input (
	run     INTEGER NOT NULL REFERENCES {p}tracking_run (num),
	name    TEXT    NOT NULL,
	digest  TEXT    NOT NULL,
	context TEXT    NOT NULL,
	source  TEXT    NOT NULL,
	row_count BIGINT NOT NULL,
	PRIMARY KEY (run, name, digest, context)
) WITHOUT ROWID;

CREATE TABLE {p}tracking_artifact (
	run    INTEGER NOT NULL REFERENCES {p}tracking_run (num),
	path   TEXT    NOT NULL,
	digest TEXT    NOT NULL,
	size   BIGINT  NOT NULL,
	PRIMARY KEY (run, path)
) WITHOUT ROWID;

-- One row a key, with its latest point. NaN, which SQLite cannot store, is
-- value 0 with is_number 0.
CREATE TABLE {p}tracking_metric (
	num       INTEGER NOT NULL PRIMARY KEY,
	run       INTEGER NOT NULL REFERENCES {p}tracking_run (num),
	key       TEXT    NOT NULL,
	step      BIGINT  NOT NULL,
	time      BIGINT  NOT NULL,
	is_number INTEGER NOT NULL,
	value     DOUBLE PRECISION NOT NULL,
	UNIQUE (run, key)
);

-- Every point. metric is a num of the table above; rows are never deleted
-- alone, so the reference is not checked, which would cost each row a lookup.
CREATE TABLE {p}tracking_point (
	metric    INTEGER NOT NULL,
	step      BIGINT  NOT NULL,
	time      BIGINT  NOT NULL,
	is_number INTEGER NOT NULL,
	value     DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (metric, step, time, is_number, value)
) WITHOUT ROWID;
