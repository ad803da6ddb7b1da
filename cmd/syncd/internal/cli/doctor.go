package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/datadir"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/exit"
	"github.com/joinery-crdt/joinery/store/boltstore"
)

func (a *app) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Examine what is stored, while no daemon runs on it",
		Long: `Doctor reads every page and record of the data directory's store, changes nothing, and
says what is there and what is damaged, and where. With damage it ends with code 6.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := datadir.At(a.dir)
			if err != nil {
				return err
			}
			r, err := boltstore.Doctor(cmd.Context(), dir.Store(), boltstore.Options{})
			if err == nil {
				err = a.showReport(cmd.OutOrStdout(), r)
			}
			if err == nil && !r.Sound() {
				err = fmt.Errorf("%s is damaged in %d places; move %s aside, then restore a backup of it or start anew and sync", r.File, r.Damaged, dir.Store())
				return exit.With(exit.Storage, err)
			}
			return err
		},
	}
}

// doctorReport is the report as JSON.
type doctorReport struct {
	File    string        `json:"file"`
	Bytes   int64         `json:"bytes"`
	Free    int64         `json:"free"` // bytes
	Lost    int64         `json:"lost"` // bytes
	Spaces  []doctorSpace `json:"spaces"`
	Damaged int           `json:"damaged"`
	Damage  []string      `json:"damage"`
}

type doctorSpace struct {
	Name    string `json:"name"`
	Records int    `json:"records"`
	Bytes   int64  `json:"bytes"`
}

func (a *app) showReport(w io.Writer, r *boltstore.Report) error {
	if !a.json {
		_, err := fmt.Fprint(w, r)
		return err
	}
	j := doctorReport{File: r.File, Bytes: r.FileBytes, Free: r.FreeBytes, Lost: r.LostBytes, Spaces: []doctorSpace{}, Damaged: r.Damaged, Damage: []string{}}
	for _, s := range r.Spaces {
		j.Spaces = append(j.Spaces, doctorSpace(s))
	}
	for _, d := range r.Damage {
		j.Damage = append(j.Damage, d.Error())
	}
	return printJSON(w, j)
}
