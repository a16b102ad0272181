CREATE TABLE {p}retrain_retraining (
	model  TEXT    NOT NULL,
	number INTEGER NOT NULL,
	id     TEXT    NOT NULL UNIQUE,
	stage  TEXT    NOT NULL,
	body   TEXT    NOT NULL, -- JSON of retrain.Retraining
	PRIMARY KEY (model, number)
);

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
	stepped_at INTEGER, -- UTC milliseconds; NULL before the first step
	data       BLOB NOT NULL
);
