-- Format 2: tables for snapshots on their way, for the order of arrival and for
-- refused changes.

CREATE TABLE {schema}.staging    (space bytea NOT NULL, key bytea NOT NULL, value bytea NOT NULL, crc integer NOT NULL);
CREATE TABLE {schema}.arrival    (space bytea NOT NULL, key bytea NOT NULL, value bytea NOT NULL, crc integer NOT NULL);
CREATE TABLE {schema}.quarantine (space bytea NOT NULL, key bytea NOT NULL, value bytea NOT NULL, crc integer NOT NULL);

CREATE UNIQUE INDEX staging_key    ON {schema}.staging    (space, substring(key, 1, 2000), (CASE WHEN octet_length(key) > 2000 THEN sha256(key) ELSE ''::bytea END));
CREATE UNIQUE INDEX arrival_key    ON {schema}.arrival    (space, substring(key, 1, 2000), (CASE WHEN octet_length(key) > 2000 THEN sha256(key) ELSE ''::bytea END));
CREATE UNIQUE INDEX quarantine_key ON {schema}.quarantine (space, substring(key, 1, 2000), (CASE WHEN octet_length(key) > 2000 THEN sha256(key) ELSE ''::bytea END));
