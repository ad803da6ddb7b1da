package recon

import "errors"

var (
	// ErrInconsistent: symbols of a peer, or of the sketch compared with them,
	// are not those of a set. Nothing that was found counts.
	ErrInconsistent = errors.New("recon: the symbols contradict each other; compare ranges instead")
	// ErrSymbols: bytes that are no whole number of symbols, or more symbols
	// than the own sketch has.
	ErrSymbols = errors.New("recon: no symbols that can be compared here")
)
