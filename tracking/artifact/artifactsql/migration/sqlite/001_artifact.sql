-- The bytes of one Put. While expires_at is a time it has no digest: it is being
-- put, or was replaced or deleted and is still read by some. From then on, or at 0,
-- it is being removed. NULL: a blob has it.
CREATE TABLE {p}artifact_upload (
	id TEXT NOT NULL PRIMARY KEY,
	expires_at INTEGER -- UTC milliseconds
);

CREATE INDEX {n}artifact_upload_expires ON {p}artifact_upload (expires_at);

-- Its bytes, 1 MiB each but for the last.
CREATE TABLE {p}artifact_chunk (
	upload TEXT NOT NULL,
	number INTEGER NOT NULL, -- from 0
	content BLOB NOT NULL,
	PRIMARY KEY (upload, number)
);

CREATE TABLE {p}artifact_blob (
	digest TEXT NOT NULL PRIMARY KEY, -- SHA-256, hex
	upload TEXT NOT NULL,
	size INTEGER NOT NULL, -- bytes
	modified_at INTEGER NOT NULL -- UTC milliseconds
);
