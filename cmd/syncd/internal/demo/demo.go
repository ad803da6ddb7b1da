// Package demo shows what syncd is for.
package demo

import (
	"context"
	"io"
)

// Options are what the demonstration is asked for.
type Options struct {
	Version string
	Exit    bool // end after the show
}

// Run shows it.
func Run(_ context.Context, _ Options, _ io.Writer) error { return nil }
