CREATE TABLE {p}retrain_retraining (
	model   TEXT    NOT NULL,
	number  INTEGER NOT NULL,
	id      TEXT    NOT NULL UNIQUE,
	stage   TEXT    NOT NULL,
	version INTEGER NOT NULL, -- the challenger; 0 before it is registered
	body    TEXT    NOT NULL, -- JSON of retrain.Retraining
	PRIMARY KEY (model, number)
);
CREATE INDEX {p}retrain_retraining_version ON {p}retrain_retraining (model, version);

CREATE TABLE {p}retrain_event (
	seq   INTEGER PRIMARY KEY AUTOINCREMENT,
	model TEXT    NOT NULL,
	time  INTEGER NOT NULL, -- UTC milliseconds
	kind  TEXT    NOT NULL,
	text  TEXT    NOT NULL,
	key   TEXT    NOT NULL,
	UNIQUE (model, key)
);

CREATE TABLE {p}retrain_state (
	model      TEXT PRIMARY KEY,
	rev        INTEGER NOT NULL, -- rises by one with each change
	stepped_at INTEGER,          -- UTC milliseconds; NULL before the first step
	data       BLOB    NOT NULL
);

CREATE TABLE {p}retrain_cursor (
	model  TEXT NOT NULL,
	sender TEXT NOT NULL,
	data   BLOB NOT NULL, -- JSON: how far a sender of alerts has come
	PRIMARY KEY (model, sender)
);
