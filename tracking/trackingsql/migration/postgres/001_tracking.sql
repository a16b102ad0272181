-- Times are UTC milliseconds since 1970. Text is ordered by its bytes.

CREATE TABLE {p}tracking_experiment (
	id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	name       TEXT COLLATE "C" NOT NULL UNIQUE,
	created_at BIGINT           NOT NULL
);

-- num is short where id is long: the tables below refer to it.
CREATE TABLE {p}tracking_run (
	num           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	id            TEXT COLLATE "C" NOT NULL UNIQUE,
	experiment_id TEXT COLLATE "C" NOT NULL REFERENCES {p}tracking_experiment (id),
	name          TEXT COLLATE "C" NOT NULL,
	status        TEXT COLLATE "C" NOT NULL,
	started_at    BIGINT           NOT NULL,
	ended_at      BIGINT,
	error         TEXT COLLATE "C" NOT NULL,
	rev           BIGINT           NOT NULL
);
CREATE INDEX {n}tracking_run_by_start ON {p}tracking_run (started_at, id);
CREATE INDEX {n}tracking_run_by_experiment ON {p}tracking_run (experiment_id, started_at, id);

CREATE TABLE {p}tracking_param (
	run   BIGINT           NOT NULL REFERENCES {p}tracking_run (num),
	key   TEXT COLLATE "C" NOT NULL,
	value TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (run, key)
);

CREATE TABLE {p}tracking_tag (
	run   BIGINT           NOT NULL REFERENCES {p}tracking_run (num),
	key   TEXT COLLATE "C" NOT NULL,
	value TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (run, key)
);

CREATE TABLE {p}tracking_input (
	run       BIGINT           NOT NULL REFERENCES {p}tracking_run (num),
	name      TEXT COLLATE "C" NOT NULL,
	digest    TEXT COLLATE "C" NOT NULL,
	context   TEXT COLLATE "C" NOT NULL,
	source    TEXT COLLATE "C" NOT NULL,
	row_count BIGINT           NOT NULL,
	PRIMARY KEY (run, name, digest, context)
);

CREATE TABLE {p}tracking_artifact (
	run    BIGINT           NOT NULL REFERENCES {p}tracking_run (num),
	path   TEXT COLLATE "C" NOT NULL,
	digest TEXT COLLATE "C" NOT NULL,
	size   BIGINT           NOT NULL,
	PRIMARY KEY (run, path)
);

-- One row a key, with its latest point. NaN is value 0 with is_number 0, as in
-- SQLite, which cannot store it.
CREATE TABLE {p}tracking_metric (
	num       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	run       BIGINT           NOT NULL REFERENCES {p}tracking_run (num),
	key       TEXT COLLATE "C" NOT NULL,
	step      BIGINT           NOT NULL,
	time      BIGINT           NOT NULL,
	is_number BIGINT           NOT NULL,
	value     DOUBLE PRECISION NOT NULL,
	UNIQUE (run, key)
);

-- Every point. metric is a num of the table above; rows are never deleted
-- alone, so the reference is not checked, which would cost each row a lookup.
CREATE TABLE {p}tracking_point (
	metric    BIGINT           NOT NULL,
	step      BIGINT           NOT NULL,
	time      BIGINT           NOT NULL,
	is_number BIGINT           NOT NULL,
	value     DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (metric, step, time, is_number, value)
);
