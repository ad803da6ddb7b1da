package pgstore

import (
	"maps"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/store"
)

// tables are the names of the tables of a space.
var tables = map[store.Table]string{
	store.Cells: "cells", store.Log: "log", store.Vector: "vector",
	store.Acks: "acks", store.Once: "once", store.Meta: "meta",
	store.Staging: "staging", store.Arrival: "arrival", store.Quarantine: "quarantine",
}

// inOrder is the tables, ascending.
var inOrder = slices.Sorted(maps.Keys(tables))

// A tableSQL is the statements about one table.
type tableSQL struct {
	get, put, remove string
	scan, scanTo     string // without and with an end
}

// statements are those of one schema.
type statements struct {
	tables map[store.Table]tableSQL
	spaces string

	enter, raise           string
	expel, forget          string
	enroll, leave, resolve string
	since, head            string
}

// The columns that an index has of a key, and the condition that finds $2 by
// them.
const (
	keyHead = "substring(key, 1, 2000)"
	keyTail = "(CASE WHEN octet_length(key) > 2000 THEN sha256(key) ELSE ''::bytea END)"
)

// A page ends before the record that would bring its values to more than this
// many bytes, except that it has one record.
const pageBytes = "4194304"

// expiry is how long the row of a process that lost the store is kept: it tells
// how that one's last commit ended.
const expiry = "'7 days'"

func newStatements(schema string) statements {
	in := func(sql string) string { return strings.ReplaceAll(sql, "{schema}", place{schema: schema}.quoted()) }
	s := statements{
		tables:  map[store.Table]tableSQL{},
		enter:   in("SELECT {schema}.enter($1, $2, $3, $4)"),
		raise:   in("INSERT INTO {schema}.space AS s (name, head) SELECT * FROM unnest($1::bytea[], $2::bigint[]) ON CONFLICT (name) DO UPDATE SET head = s.head + excluded.head WHERE excluded.head > 0"),
		expel:   in("UPDATE {schema}.writer SET ended = now() WHERE ended IS NULL AND (exclusive OR $1)"),
		forget:  in("DELETE FROM {schema}.writer WHERE ended < now() - interval " + expiry),
		enroll:  in("INSERT INTO {schema}.writer (id, exclusive) VALUES ($1, $2)"),
		leave:   in("DELETE FROM {schema}.writer WHERE id = $1 AND ended IS NULL"),
		resolve: in("UPDATE {schema}.writer SET fence = fence + 1 WHERE id = $1 RETURNING fence, groups"),
		since: in("SELECT position, key, value, crc FROM (SELECT *, sum(octet_length(value)) OVER (ORDER BY position ROWS UNBOUNDED PRECEDING) - octet_length(value) AS size" +
			" FROM {schema}.log WHERE space = $1 AND position > $2 ORDER BY position LIMIT $3) p WHERE size < " + pageBytes + " ORDER BY position"),
		head: in("SELECT head FROM {schema}.space WHERE name = $1"),
	}
	var used []string
	for t, name := range tables {
		s.tables[t] = newTableSQL(in, name)
		used = append(used, in("EXISTS (SELECT FROM {schema}."+name+" WHERE space = s.name)"))
	}
	s.spaces = in("SELECT name FROM {schema}.space s WHERE name <> '' AND (" + strings.Join(used, " OR ") + ") ORDER BY name")
	return s
}

func newTableSQL(in func(string) string, name string) tableSQL {
	table := in("{schema}." + name)
	scan := func(end string) string {
		return "SELECT key, value, crc FROM (SELECT *, sum(octet_length(value)) OVER (ORDER BY " + keyHead + ", key ROWS UNBOUNDED PRECEDING) - octet_length(value) AS size" +
			" FROM " + table + " WHERE space = $1 AND " + keyHead + " >= substring($2::bytea, 1, 2000) AND key >= $2" + end +
			" ORDER BY " + keyHead + ", key LIMIT $3) p WHERE size < " + pageBytes + " ORDER BY " + keyHead + ", key"
	}
	return tableSQL{
		get:    "SELECT value, crc FROM " + table + " WHERE space = $1 AND " + keyHead + " = substring($2::bytea, 1, 2000) AND key = $2",
		put:    put(in, name),
		remove: "DELETE FROM " + table + " t USING unnest($1::bytea[], $2::bytea[]) AS u (space, gone) WHERE t.space = u.space AND " + keyHead + " = substring(u.gone, 1, 2000) AND t.key = u.gone",
		scan:   scan(""),
		scanTo: scan(" AND " + keyHead + " <= substring($4::bytea, 1, 2000) AND key < $4"),
	}
}

// put returns the statement that puts records, one array for each column.
func put(in func(string) string, name string) string {
	columns, from, set := "space, key, value, crc", "SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::int[])", "value = excluded.value, crc = excluded.crc"
	switch name {
	case tables[store.Cells]:
		columns += ", shown"
		from = "SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::int[], $5::text[])"
		set += ", shown = excluded.shown"
	case tables[store.Log]:
		columns += ", position"
		from = "SELECT u.space, u.key, u.value, u.crc, s.head - u.back FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::int[], $5::bigint[]) AS u (space, key, value, crc, back)" +
			" JOIN {schema}.space s ON s.name = u.space"
		set += ", position = excluded.position"
	}
	return in("INSERT INTO {schema}." + name + " (" + columns + ") " + from + " ON CONFLICT (space, " + keyHead + ", " + keyTail + ") DO UPDATE SET " + set)
}
