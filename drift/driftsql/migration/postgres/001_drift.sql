-- Times are UTC milliseconds.
CREATE TABLE {p}drift_checkpoint (
	model          TEXT COLLATE "C" PRIMARY KEY NOT NULL,
	version        BIGINT NOT NULL,
	rev            BIGINT NOT NULL, -- rises by one with each save
	token          BIGINT NOT NULL, -- of its writer; never falls
	prediction_seq BIGINT NOT NULL,
	label_seq      BIGINT NOT NULL,
	checked_at     BIGINT NOT NULL,
	alert_seq      BIGINT NOT NULL, -- seq of the model's latest change of an alert
	state          BYTEA NOT NULL -- drift.Monitor.MarshalBinary
);

CREATE TABLE {p}drift_alert (
	id          TEXT COLLATE "C" PRIMARY KEY NOT NULL,
	model       TEXT COLLATE "C" NOT NULL,
	seq         BIGINT NOT NULL, -- of its last change, by model
	version     BIGINT NOT NULL,
	source      TEXT COLLATE "C" NOT NULL,
	severity    TEXT COLLATE "C" NOT NULL,
	findings    TEXT COLLATE "C" NOT NULL, -- JSON of the columns, worst first
	magnitude   DOUBLE PRECISION NOT NULL,
	worst       DOUBLE PRECISION NOT NULL,
	fired_at    BIGINT NOT NULL,
	resolved_at BIGINT, -- NULL while firing
	reason      TEXT COLLATE "C" NOT NULL
);

CREATE UNIQUE INDEX {n}drift_alert_seq ON {p}drift_alert (model, seq);
CREATE INDEX {n}drift_alert_firing ON {p}drift_alert (model, seq) WHERE resolved_at IS NULL;
