package object

import "github.com/joinery-crdt/joinery/crdt"

// An EWFlag refers to an enable-wins flag: enabled while an enable has not been
// seen by a disable.
type EWFlag struct{ Ref }

// NewEWFlag refers to the enable-wins flag under key.
func NewEWFlag(key string) EWFlag { return EWFlag{NewRef(key, crdt.EWFlagKind.Name())} }

// Enabled reports whether the flag is enabled.
func (f EWFlag) Enabled(s Space) (bool, error) {
	cell, err := f.Reader(s).Cell("")
	return cell != nil, err
}

// Enable enables the flag.
func (f EWFlag) Enable(tx Tx) error { return supersede(f.Writer(tx), "", true, nil) }

// Disable takes back the enables that the transaction sees. Disabling what is
// not enabled changes nothing.
func (f EWFlag) Disable(tx Tx) error { return supersede(f.Writer(tx), "", false, nil) }

// A DWFlag refers to a disable-wins flag: enabled if it was enabled and every
// disable has been seen by some enable.
type DWFlag struct{ Ref }

// NewDWFlag refers to the disable-wins flag under key.
func NewDWFlag(key string) DWFlag { return DWFlag{NewRef(key, crdt.DWFlagKind.Name())} }

// Enabled reports whether the flag is enabled.
func (f DWFlag) Enabled(s Space) (bool, error) {
	cell, err := f.Reader(s).Cell("")
	if err != nil {
		return false, err
	}
	return crdt.DWFlagEnabled(cell)
}

// Enable enables the flag, over the disables that the transaction sees.
func (f DWFlag) Enable(tx Tx) error { return supersede(f.Writer(tx), "", true, crdt.Added) }

// Disable disables the flag, also where it is not enabled: it wins over
// concurrent enables.
func (f DWFlag) Disable(tx Tx) error { return supersede(f.Writer(tx), "", true, crdt.Removed) }
