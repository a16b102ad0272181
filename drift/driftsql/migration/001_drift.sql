-- Times are UTC milliseconds.
CREATE TABLE {p}drift_checkpoint (
	model          TEXT PRIMARY KEY NOT NULL,
	version        BIGINT NOT NULL,
	prediction_seq BIGINT NOT NULL,
	label_seq      BIGINT NOT NULL,
	checked_at     BIGINT NOT NULL,
	state          BLOB NOT NULL -- drift.Monitor.MarshalBinary
);

CREATE TABLE {p}drift_alert (
	seq         INTEGER PRIMARY KEY NOT NULL, -- the order of storing
	id          TEXT NOT NULL UNIQUE,
	model       TEXT NOT NULL,
	version     BIGINT NOT NULL,
	source      TEXT NOT NULL,
	severity    TEXT NOT NULL,
	findings    TEXT NOT NULL, -- JSON of the columns, worst first
	fired_at    BIGINT NOT NULL,
	resolved_at BIGINT, -- NULL while firing
	reason      TEXT NOT NULL
);

CREATE INDEX {p}drift_alert_model ON {p}drift_alert (model, fired_at, seq);
