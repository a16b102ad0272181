-- Times are UTC milliseconds.

-- One row a model: its lease, and the number of its latest event. Every change of
-- the model's records begins by locking this row.
CREATE TABLE {p}retrain_model (
	model       TEXT   NOT NULL PRIMARY KEY,
	holder      TEXT   NOT NULL, -- of the lease; '': nobody
	token       BIGINT NOT NULL, -- of the lease: rises by one with each new holder
	lease_until BIGINT NOT NULL, -- by the database's clock
	lease_ttl   BIGINT NOT NULL, -- milliseconds that it was taken for, which tell a clock that was set back
	event_seq   BIGINT NOT NULL
);

CREATE TABLE {p}retrain_retraining (
	model   TEXT   NOT NULL,
	number  BIGINT NOT NULL,
	id      TEXT   NOT NULL UNIQUE,
	rev     BIGINT NOT NULL, -- rises by one with each change
	token   BIGINT NOT NULL, -- of its writer's lease
	version BIGINT NOT NULL, -- the challenger; 0 before it is registered
	body    TEXT   NOT NULL, -- JSON of retrain.Retraining
	PRIMARY KEY (model, number)
);
CREATE INDEX {n}retrain_retraining_version ON {p}retrain_retraining (model, version);

CREATE TABLE {p}retrain_event (
	model TEXT   NOT NULL,
	seq   BIGINT NOT NULL, -- within the model
	time  BIGINT NOT NULL,
	kind  TEXT   NOT NULL,
	text  TEXT   NOT NULL,
	key   TEXT   NOT NULL,
	PRIMARY KEY (model, seq)
);
CREATE UNIQUE INDEX {n}retrain_event_key ON {p}retrain_event (model, key);

CREATE TABLE {p}retrain_state (
	model      TEXT   NOT NULL PRIMARY KEY,
	rev        BIGINT NOT NULL,
	token      BIGINT NOT NULL,
	stepped_at BIGINT,          -- NULL before the first step
	data       BLOB   NOT NULL
);

CREATE TABLE {p}retrain_cursor (
	model  TEXT   NOT NULL,
	sender TEXT   NOT NULL,
	rev    BIGINT NOT NULL,
	token  BIGINT NOT NULL,
	data   BLOB   NOT NULL, -- JSON: how far a sender of alerts has come
	PRIMARY KEY (model, sender)
);

CREATE TABLE {p}retrain_config (
	digest TEXT NOT NULL PRIMARY KEY,
	data   BLOB NOT NULL
);
