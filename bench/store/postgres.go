package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/pgstore"
)

// openPostgres is the store in PostgreSQL.
func openPostgres(string) (writeFunc, func() error, error) {
	if err := runSQL("DROP SCHEMA IF EXISTS joinery CASCADE"); err != nil {
		return nil, nil, err
	}
	ctx := context.Background()
	s, err := pgstore.Open(ctx, server.URL(), pgstore.Options{})
	if err != nil {
		return nil, nil, err
	}
	return func(key, value []byte) error {
		return s.Update(ctx, func(tx store.Tx) error { return tx.Put("space", store.Cells, key, value) })
	}, s.Close, nil
}

// openGatheredPostgres is pgx, one connection and a table with an index, behind
// the loop that gathers.
func openGatheredPostgres(string) (writeFunc, func() error, error) {
	err := runSQL("DROP TABLE IF EXISTS raw; CREATE TABLE raw (space bytea, key bytea, value bytea, PRIMARY KEY (space, key))")
	if err != nil {
		return nil, nil, err
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, server.URL())
	if err != nil {
		return nil, nil, err
	}
	write, stop := gather(func(batch []request) error {
		var spaces, keys, values [][]byte
		seen := map[string]bool{} // a statement cannot put a record twice
		for _, r := range batch {
			if !seen[string(r.key)] {
				seen[string(r.key)] = true
				spaces, keys, values = append(spaces, bucketName), append(keys, r.key), append(values, r.value)
			}
		}
		_, err := conn.Exec(ctx, `INSERT INTO raw SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[])
			ON CONFLICT (space, key) DO UPDATE SET value = excluded.value`, spaces, keys, values)
		return err
	})
	return write, func() error { stop(); return conn.Close(ctx) }, nil
}

// runSQL runs statements on a connection of their own.
func runSQL(sql string) error {
	_, err := querySQL(sql)
	return err
}

// querySQL returns the number that statements return last, 0 if they return
// none.
func querySQL(sql string) (n int64, err error) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, server.URL())
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil || len(results) == 0 || len(results[len(results)-1].Rows) == 0 {
		return 0, err
	}
	_, err = fmt.Sscan(string(results[len(results)-1].Rows[0][0]), &n)
	return n, err
}
