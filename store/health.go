package store

// Watched is what a Store may also implement: it notices by itself when what
// holds its bytes cannot be reached, and when that is over. A wrapper of a Store
// passes it on.
type Watched interface {
	// Health returns what keeps the store from its work now, nil if nothing is
	// known to. It does not wait.
	Health() error
}

// Health returns what keeps a store from its work now, nil if nothing is known
// to, or if the store does not watch itself. Transactions may be tried all the
// same: they wait, or fail, as the backend says.
func Health(s Store) error {
	if w, ok := s.(Watched); ok {
		return w.Health()
	}
	return nil
}
