CREATE TABLE {p}serve_schema (
	id     INTEGER PRIMARY KEY,
	digest TEXT NOT NULL UNIQUE,   -- SHA-256 of fields
	fields TEXT NOT NULL           -- JSON: [{"name":…,"kind":…}, …]
);

-- One row a model: its number in the other tables, the numbers that its records got last, which are never given again, and what its log
-- holds. Each change of a model's log begins by locking its row, so that they come one after the other, and commit in the order of seq.
CREATE TABLE {p}serve_model (
	id          INTEGER PRIMARY KEY,
	name        TEXT NOT NULL UNIQUE,
	last_seq    INTEGER NOT NULL DEFAULT 0,  -- of predictions
	last_label  INTEGER NOT NULL DEFAULT 0,  -- seq of labels
	predictions INTEGER NOT NULL DEFAULT 0,
	unanswered  INTEGER NOT NULL DEFAULT 0,
	reattempts  INTEGER NOT NULL DEFAULT 0,
	shadow      INTEGER NOT NULL DEFAULT 0,
	labels      INTEGER NOT NULL DEFAULT 0,
	corrections INTEGER NOT NULL DEFAULT 0,
	bytes       INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE {p}serve_prediction (
	model           INTEGER NOT NULL,  -- of {p}serve_model
	seq             INTEGER NOT NULL,
	id              TEXT NOT NULL,     -- of the request
	row_index       INTEGER NOT NULL,  -- within the request, from 0
	attempt         INTEGER NOT NULL,  -- from 1
	version         INTEGER NOT NULL,
	variant         INTEGER NOT NULL,  -- 0 primary, 1 canary, 2 shadow
	status          INTEGER NOT NULL,  -- 0 answered, 1 fallback, 2 failed, 3 timed_out, 4 refused
	key             TEXT,              -- routing key; NULL: the id
	time            INTEGER NOT NULL,  -- UTC milliseconds
	features_schema INTEGER NOT NULL,  -- of {p}serve_schema: the columns of features
	features        TEXT NOT NULL,     -- JSON array of values
	digest          INTEGER NOT NULL,  -- of the inputs, as a signed number
	outputs_schema  INTEGER NOT NULL,
	outputs         TEXT NOT NULL,     -- JSON array of values
	propensity      REAL NOT NULL,
	latency         INTEGER NOT NULL,  -- nanoseconds
	route_rev       INTEGER NOT NULL,
	trace_id        TEXT,
	error           TEXT,
	bytes           INTEGER NOT NULL,  -- about what the record takes up
	PRIMARY KEY (model, seq)
);
-- The id first, which tells rows apart at the first look; status, so that the index alone tells who was answered.
CREATE UNIQUE INDEX {n}serve_prediction_id ON {p}serve_prediction (id, model, row_index, attempt, variant, status);
CREATE INDEX {n}serve_prediction_time ON {p}serve_prediction (model, time, seq);
CREATE INDEX {n}serve_prediction_key ON {p}serve_prediction (model, key) WHERE key IS NOT NULL;

CREATE TABLE {p}serve_label (
	model          INTEGER NOT NULL,   -- of {p}serve_model
	seq            INTEGER NOT NULL,
	id             TEXT NOT NULL,      -- of the request
	row_index      INTEGER NOT NULL,
	output         TEXT NOT NULL,      -- that it is the truth of
	attempt        INTEGER NOT NULL,   -- that it is about: the latest answered one when it came
	kind           TEXT NOT NULL,
	value          TEXT NOT NULL,      -- JSON
	correction     INTEGER NOT NULL,   -- 1 when it replaced another
	replaces_kind  TEXT NOT NULL,
	replaces_value TEXT NOT NULL,      -- JSON
	time           INTEGER NOT NULL,   -- UTC milliseconds
	bytes          INTEGER NOT NULL,
	PRIMARY KEY (model, seq)
);
CREATE INDEX {n}serve_label_id ON {p}serve_label (id, model, row_index, output, seq);

CREATE TABLE {p}serve_route (
	model           TEXT PRIMARY KEY NOT NULL, -- its name
	primary_version INTEGER NOT NULL,
	canary_version  INTEGER NOT NULL,
	share           REAL NOT NULL,
	shadow_version  INTEGER NOT NULL,
	salt            TEXT NOT NULL,
	rev             INTEGER NOT NULL,
	token           INTEGER NOT NULL           -- of the process that leads; it never falls
);

-- The log for people: features and outputs as JSON objects, the latest label beside them.
CREATE VIEW {p}serve_log AS
SELECT p.seq, strftime('%Y-%m-%dT%H:%M:%fZ', p.time / 1000.0, 'unixepoch') AS time, m.name AS model, p.id, p.row_index, p.attempt,
	p.version, CASE p.variant WHEN 0 THEN 'primary' WHEN 1 THEN 'canary' ELSE 'shadow' END AS variant,
	CASE p.status WHEN 0 THEN 'answered' WHEN 1 THEN 'fallback' WHEN 2 THEN 'failed' WHEN 3 THEN 'timed_out' ELSE 'refused' END AS status,
	coalesce(p.key, p.id) AS key,
	(SELECT json_group_object(json_extract(f.value, '$.name'), CASE v.type WHEN 'true' THEN json('true') WHEN 'false' THEN json('false')
		WHEN 'object' THEN json(v.value) ELSE v.value END)
		FROM {p}serve_schema s, json_each(s.fields) f, json_each(p.features) v WHERE s.id = p.features_schema AND v.key = f.key) AS features,
	(SELECT json_group_object(json_extract(f.value, '$.name'), CASE v.type WHEN 'true' THEN json('true') WHEN 'false' THEN json('false')
		WHEN 'object' THEN json(v.value) ELSE v.value END)
		FROM {p}serve_schema s, json_each(s.fields) f, json_each(p.outputs) v WHERE s.id = p.outputs_schema AND v.key = f.key) AS outputs,
	(SELECT CASE json_type(l.value) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE json_extract(l.value, '$') END
		FROM {p}serve_label l WHERE l.model = p.model AND l.id = p.id AND l.row_index = p.row_index AND l.output = 'label'
		ORDER BY l.seq DESC LIMIT 1) AS label,
	p.propensity, p.latency / 1e6 AS latency_ms, p.route_rev, p.trace_id, p.error
FROM {p}serve_prediction p JOIN {p}serve_model m ON m.id = p.model;
