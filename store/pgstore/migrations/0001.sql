-- Format 1. {schema} stands for the schema of the store.

CREATE TABLE {schema}.format (version integer NOT NULL);

-- Who has the store open. A group of Updates counts itself in the row of its
-- process, so that a process can find out how a commit ended whose answer was
-- lost; a higher fence stops what it sent before.
CREATE TABLE {schema}.writer (
	id        uuid PRIMARY KEY,
	exclusive boolean NOT NULL,
	fence     bigint NOT NULL DEFAULT 0,
	groups    bigint NOT NULL DEFAULT 0,
	opened    timestamptz NOT NULL DEFAULT now(),
	ended     timestamptz
) WITH (fillfactor = 50);

-- Every space that ever had a record. head is the newest position in its log;
-- it is raised in the transaction that writes there, so positions are without
-- gaps and in the order of commits.
CREATE TABLE {schema}.space (
	name bytea PRIMARY KEY,
	head bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE {schema}.cells  (space bytea NOT NULL, key bytea NOT NULL, value bytea NOT NULL, crc integer NOT NULL, shown text) WITH (fillfactor = 85);
CREATE TABLE {schema}.log    (space bytea NOT NULL, key bytea NOT NULL, value bytea NOT NULL, crc integer NOT NULL, position bigint NOT NULL);
CREATE TABLE {schema}.vector (space bytea NOT NULL, key bytea NOT NULL, value bytea NOT NULL, crc integer NOT NULL) WITH (fillfactor = 50);
CREATE TABLE {schema}.acks   (space bytea NOT NULL, key bytea NOT NULL, value bytea NOT NULL, crc integer NOT NULL) WITH (fillfactor = 50);
CREATE TABLE {schema}.once   (space bytea NOT NULL, key bytea NOT NULL, value bytea NOT NULL, crc integer NOT NULL);
CREATE TABLE {schema}.meta   (space bytea NOT NULL, key bytea NOT NULL, value bytea NOT NULL, crc integer NOT NULL) WITH (fillfactor = 50);

-- An index takes no key of 8 KiB, so it has the first 2,000 bytes and, of longer
-- keys, a digest.
CREATE UNIQUE INDEX cells_key  ON {schema}.cells  (space, substring(key, 1, 2000), (CASE WHEN octet_length(key) > 2000 THEN sha256(key) ELSE ''::bytea END));
CREATE UNIQUE INDEX log_key    ON {schema}.log    (space, substring(key, 1, 2000), (CASE WHEN octet_length(key) > 2000 THEN sha256(key) ELSE ''::bytea END));
CREATE UNIQUE INDEX vector_key ON {schema}.vector (space, substring(key, 1, 2000), (CASE WHEN octet_length(key) > 2000 THEN sha256(key) ELSE ''::bytea END));
CREATE UNIQUE INDEX acks_key   ON {schema}.acks   (space, substring(key, 1, 2000), (CASE WHEN octet_length(key) > 2000 THEN sha256(key) ELSE ''::bytea END));
CREATE UNIQUE INDEX once_key   ON {schema}.once   (space, substring(key, 1, 2000), (CASE WHEN octet_length(key) > 2000 THEN sha256(key) ELSE ''::bytea END));
CREATE UNIQUE INDEX meta_key   ON {schema}.meta   (space, substring(key, 1, 2000), (CASE WHEN octet_length(key) > 2000 THEN sha256(key) ELSE ''::bytea END));
CREATE UNIQUE INDEX log_position ON {schema}.log (space, position);

-- enter begins a group: it takes the store's turn to write and counts the group,
-- or says that this process must not write any more.
CREATE FUNCTION {schema}.enter(turn bigint, writer_id uuid, writer_fence bigint, group_number bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	done bigint;
BEGIN
	PERFORM pg_advisory_xact_lock(turn);
	UPDATE {schema}.writer SET groups = group_number
		WHERE id = writer_id AND fence = writer_fence AND groups = group_number - 1 AND ended IS NULL;
	IF FOUND THEN
		RETURN;
	END IF;
	SELECT groups INTO done FROM {schema}.writer WHERE id = writer_id AND fence = writer_fence AND ended IS NULL;
	IF FOUND THEN
		RAISE EXCEPTION 'the server has % of % acknowledged groups', done, group_number - 1 USING ERRCODE = 'JN002';
	END IF;
	RAISE EXCEPTION 'another process has taken the store' USING ERRCODE = 'JN001';
END $$;

CREATE FUNCTION {schema}.as_text(b bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
	RETURN convert_from(b, 'UTF8');
EXCEPTION WHEN others THEN
	RETURN '\x' || encode(b, 'hex');
END $$;

CREATE FUNCTION {schema}.as_json(t text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
	RETURN t::jsonb;
EXCEPTION WHEN others THEN
	RETURN NULL;
END $$;

-- What people query. Without a description (Options.Describe) a cell shows its
-- key, as hexadecimal digits if it is no text, and its state if that is JSON.
CREATE VIEW {schema}.cell AS
	SELECT {schema}.as_text(c.space) AS space,
		coalesce(d.shown ->> 'key', {schema}.as_text(c.key)) AS key,
		d.shown ->> 'type' AS type,
		d.shown -> 'element' AS element,
		CASE WHEN d.shown IS NULL THEN {schema}.as_json({schema}.as_text(c.value)) ELSE d.shown -> 'value' END AS value,
		c.key AS raw_key,
		c.value AS raw_state
	FROM {schema}.cells c CROSS JOIN LATERAL (SELECT {schema}.as_json(c.shown) AS shown) d;
