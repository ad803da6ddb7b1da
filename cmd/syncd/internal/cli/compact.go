package cli

import (
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/datadir"
	"github.com/joinery-crdt/joinery/store/boltstore"
)

// compactReport is what compact did, as JSON.
type compactReport struct {
	Before int64 `json:"before"` // bytes
	After  int64 `json:"after"`  // bytes
}

func (a *app) compact() *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Make the store's file as small as it can be, while no daemon runs on it",
		Long: `Compact rewrites the data directory's store without what was deleted. It needs room for
the copy, and an interruption leaves the store as it was. A daemon does the same when it
starts, if three quarters of the file and at least 16 MiB can be given back, and while it
runs it uses that part again before the file grows.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := datadir.At(a.dir)
			if err != nil {
				return err
			}
			var r compactReport
			if r.Before, err = sizeOf(dir.Store()); err != nil {
				return err
			}
			if err := boltstore.Compact(dir.Store(), boltstore.Options{}); err != nil {
				return err
			}
			if r.After, err = sizeOf(dir.Store()); err != nil {
				return err
			}
			if a.json {
				return printJSON(cmd.OutOrStdout(), r)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes before, %d now\n", dir.Store(), r.Before, r.After)
			return err
		},
	}
}

// sizeOf returns the bytes of the files in a directory.
func sizeOf(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	return bytes, err
}
