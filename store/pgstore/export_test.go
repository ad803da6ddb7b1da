package pgstore

// CheckSettings is what a store says of a server with these settings.
func CheckSettings(version int, encoding, fsync, synchronousCommit string, standby, readOnly bool) error {
	s := settings{version, encoding, fsync, synchronousCommit, standby}
	return s.check(place{host: "host", database: "database", schema: "schema"}, readOnly)
}

// LoseSession ends the session that holds the lock of s, and keeps it from
// making a new one.
func LoseSession(s *Store) { _ = s.keeper.stop() }
