package sync

// Classes of refusals: what has to happen before trying again can help.
const (
	ClassRetriable    = "retriable"     // time, or another change
	ClassNeedsAuth    = "needs-auth"    // other credentials or rights
	ClassNeedsUpgrade = "needs-upgrade" // a newer version on one side
	ClassFatal        = "fatal"         // nothing: the change itself is at fault
)

// ClassOf returns the class of a code of a Nack, a Revoked or a Goodbye. A code
// that this version does not know is fatal.
func ClassOf(code string) string {
	switch code {
	case "future", "busy", "full", "shutdown", "renewed", "protocol":
		return ClassRetriable
	case "forbidden", "needs_auth":
		return ClassNeedsAuth
	case "needs_upgrade", "unknown_type":
		return ClassNeedsUpgrade
	}
	return ClassFatal
}

// HintOf says what the writer of a refused change can do.
func HintOf(code string) string {
	switch code {
	case "future":
		return "set the clock of the device that wrote it; the change is taken when its time has come"
	case "unrepeatable":
		return "read what it wrote and write it again by hand, then drop it"
	case "forked":
		return "the device that wrote it was restored or copied: connect it, so that it notices and goes on under a new origin"
	case "forbidden":
		return "get credentials that may write this space"
	case "needs_upgrade", "unknown_type":
		return "upgrade the node that refuses it"
	case "too_large":
		return "split the transaction that wrote it"
	}
	return "upgrade the device that wrote it, or report this: it is a bug or a forgery"
}

// An Offered is a change that came from the peer.
type Offered struct {
	Space  string
	Change *Change
}

// A Rejected is a change that came from the peer and is refused as it is.
type Rejected struct {
	Space string
	Raw   []byte
	Err   *RefusedError
}

// newNack returns the refusal of a change.
func newNack(space string, e *RefusedError) *Nack {
	code := CodeOf(e)
	return &Nack{Space: space, Dot: e.Dot, Code: code, Class: ClassOf(code), Reason: e.Reason, Hint: HintOf(code)}
}

// CodeOf returns the code with which a refusal is told.
func CodeOf(e *RefusedError) string {
	switch e.Kind {
	case ErrForked:
		return "forked"
	case ErrFuture:
		return "future"
	case ErrForbidden:
		return "forbidden"
	case ErrTooLarge:
		return "too_large"
	case ErrMalformed:
		return "malformed"
	case ErrUnknownType:
		return "unknown_type"
	}
	return "rejected"
}
