-- The bytes of one Put. While expires_at is a time it has no digest: it is being
-- put, or was replaced or deleted and is still read by some. From then on, or at 0,
-- it is being removed. NULL: a blob has it.
CREATE TABLE {p}artifact_upload (
	id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	expires_at BIGINT -- UTC milliseconds
);

CREATE INDEX {n}artifact_upload_expires ON {p}artifact_upload (expires_at);

-- Its bytes, 1 MiB each but for the last.
CREATE TABLE {p}artifact_chunk (
	upload TEXT COLLATE "C" NOT NULL,
	number BIGINT NOT NULL, -- from 0
	content BYTEA NOT NULL,
	PRIMARY KEY (upload, number)
);

-- Weights do not compress: PostgreSQL need not try.
ALTER TABLE {p}artifact_chunk ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE {p}artifact_blob (
	digest TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- SHA-256, hex
	upload TEXT COLLATE "C" NOT NULL,
	size BIGINT NOT NULL, -- bytes
	modified_at BIGINT NOT NULL -- UTC milliseconds
);
