package boltstore

// HoldFlush makes the newest commit of s look as if its flush had not ended
// yet. release ends it with err.
func HoldFlush(s *Store) (release func(err error)) {
	id := s.durable.Load()
	g := &group{done: make(chan struct{})}
	s.flushing.Store(g)
	s.durable.Store(id - 1)
	return func(err error) {
		if g.err = err; err == nil {
			s.durable.Store(id)
		}
		close(g.done)
	}
}

// BreakFile makes every later write to the file of s an error.
func BreakFile(s *Store) error { return s.file.Close() }

// BucketName is the name of a space in the file.
var BucketName = bucketName

// FormatRecord is what the file holds as the format's version.
var FormatRecord = formatRecord
