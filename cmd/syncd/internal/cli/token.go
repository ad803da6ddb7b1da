package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/datadir"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/tokens"
)

func (a *app) tokens() *cobra.Command {
	var list string
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and take back the tokens that this device asks for",
		Long: `A device asks everybody for a token once it has a list of them. These commands work
on the list of the data directory, whether the daemon runs or not; it sees what
changes within a second. A daemon that runs without a list asks from its next start on.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listTokens(cmd, list) },
	}
	cmd.PersistentFlags().StringVar(&list, "tokens", os.Getenv("JOINERY_TOKENS"), "`file` with the list, instead of the data directory's [$JOINERY_TOKENS]")
	cmd.AddCommand(
		a.issueToken(&list),
		&cobra.Command{
			Use: "list", Short: "List the tokens by name", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return a.listTokens(cmd, list) },
		},
		&cobra.Command{
			Use: "revoke NAME", Short: "Take a token back: links and requests that show it end at once", Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				path, err := a.tokenList(list)
				if err != nil {
					return err
				}
				return tokens.Revoke(path, args[0])
			},
		},
	)
	return cmd
}

// tokenList returns the path of the list that the flags name, in a data directory
// that is made if need be.
func (a *app) tokenList(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	dir, err := datadir.At(a.dir)
	if err != nil {
		return "", err
	}
	return dir.Tokens(), dir.Prepare()
}

func (a *app) issueToken(list *string) *cobra.Command {
	var e tokens.Entry
	var ends time.Duration
	var out string
	cmd := &cobra.Command{
		Use:   "issue NAME",
		Short: "Make a token for a device or a program, and print it",
		Long: `Issue prints the token, or writes it to the file that --out names, which only its
owner can read. It cannot be printed again: the list holds its hash. A device shows it
with: syncd peers add ADDRESS --token-file FILE. A program sends the header
Authorization: Bearer TOKEN.

The access read is for reading spaces, write for changing them, too, and admin for
everything else: status, peers, devices, quarantine.`,
		Example: `  syncd token issue laptop --out laptop.token
  syncd token issue dashboard --access read --space metrics --expires-in 720h`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := a.tokenList(*list)
			if err != nil {
				return err
			}
			if e.Name = args[0]; ends > 0 {
				e.Expires = time.Now().Add(ends).UTC().Truncate(time.Second)
			}
			return a.issue(cmd, path, e, out)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&e.Spaces, "space", []string{tokens.AllSpaces}, "`space` that it is for; repeatable")
	f.StringVar(&e.Access, "access", tokens.Write, "read, write or `admin`")
	f.DurationVar(&ends, "expires-in", 0, "how `long` it is good, for ever by default")
	f.StringVar(&out, "out", "", "`file` to write it to")
	return cmd
}

// issue makes a token and hands it out, or takes it back again.
func (a *app) issue(cmd *cobra.Command, path string, e tokens.Entry, out string) error {
	_, err := os.Stat(path)
	unasked := errors.Is(err, fs.ErrNotExist) && a.runs()
	token, err := tokens.Issue(path, e)
	if err != nil {
		return err
	}
	switch {
	case out != "":
		err = datadir.WriteFile(out, []byte(token+"\n"))
	case a.json:
		err = printJSON(cmd.OutOrStdout(), map[string]string{"name": e.Name, "token": token})
	default:
		_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
	}
	if err != nil {
		return errors.Join(err, tokens.Revoke(path, e.Name))
	}
	if unasked {
		fmt.Fprintln(cmd.ErrOrStderr(), "this is the first token: the daemon asks for tokens from its next start on")
	}
	return nil
}

// runs reports whether a daemon has the data directory open, or had it last and was
// killed.
func (a *app) runs() bool {
	dir, err := datadir.At(a.dir)
	if err == nil {
		_, err = dir.Address()
	}
	return err == nil
}

func (a *app) listTokens(cmd *cobra.Command, list string) error {
	path, err := a.tokenList(list)
	if err != nil {
		return err
	}
	entries, err := tokens.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		entries, err = nil, nil
	}
	if err != nil {
		return err
	}
	if a.json {
		shown := []tokens.Entry{}
		for _, e := range entries {
			e.Token = ""
			shown = append(shown, e)
		}
		return printJSON(cmd.OutOrStdout(), map[string][]tokens.Entry{"tokens": shown})
	}
	return showTokens(cmd.OutOrStdout(), entries)
}

func showTokens(w io.Writer, entries []tokens.Entry) error {
	t := table(w)
	for _, e := range entries {
		ends := "for ever"
		switch {
		case e.Expired(time.Now()):
			ends = "ended " + e.Expires.UTC().Format(time.RFC3339)
		case !e.Expires.IsZero():
			ends = "until " + e.Expires.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", e.Name, e.Access, strings.Join(e.Spaces, ", "), ends)
	}
	return t.Flush()
}
