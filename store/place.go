package store

// Placed is what a Store may also implement: it knows the place in which its
// bytes lie, and so notices that they were copied to another, as a restored
// backup or a cloned directory is. A wrapper of a Store passes it on.
type Placed interface {
	// Place returns a name of the place, made when the bytes came there. It
	// stays the same for as long as they do, and no two places ever have the
	// same. Empty means that the store cannot tell.
	Place() string
}

// Place returns the place of a store, empty if it cannot tell. A node whose
// store has changed its place takes a new origin, because whoever still writes
// at the old one uses the same dots for other changes.
func Place(s Store) string {
	if p, ok := s.(Placed); ok {
		return p.Place()
	}
	return ""
}
