package cli

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/daemon"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/datadir"
)

func (a *app) serve() *cobra.Command {
	cfg := daemon.Config{Version: a.version}
	var verbose bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run this device: store, sync and API",
		Long: `Serve runs a device until it is interrupted. It needs no configuration: its data
directory is made on the first start, and it listens on ` + daemon.DefaultListen + `.
Flags win over the environment.

On this machine everybody may read and write. Serve listens where other machines can
connect only if devices and programs have to show tokens (syncd token issue makes the
first one, and --tokens names another list than the one in the data directory), or if
--insecure-no-auth says that everyone who can connect may do everything. Without
--tls-cert and --tls-key whoever reads the network reads the tokens, too: use a
tunnel (ssh -L, WireGuard) or a proxy that speaks TLS there.

Files with tokens, certificates and keys are read again when they change.

A first SIGINT or SIGTERM ends it when the requests that run are answered, a second
one at once; what was acknowledged is durable either way.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Dir, err = datadir.At(a.dir); err != nil {
				return err
			}
			cfg.Logger = logger(cmd, verbose)
			return a.runDaemon(cmd, cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Listen, "listen", env("JOINERY_LISTEN", daemon.DefaultListen), "`host:port` to listen on, port 0 for any free one [$JOINERY_LISTEN]")
	f.StringVar(&cfg.Name, "name", os.Getenv("JOINERY_NAME"), "what people call this device, by default the host's name [$JOINERY_NAME]")
	f.BoolVar(&cfg.Hub, "hub", false, "tell the other devices that they may count on this one")
	f.BoolVar(&cfg.Tree, "tree", false, "push changes along a tree instead of over every connection: for many devices with several connections each, all of which take it")
	f.DurationVar(&cfg.Heartbeat, "heartbeat", 0, "`how` often links repeat their state, 2s by default")
	f.DurationVar(&cfg.AuditEvery, "audit-every", 0, "`how` often each space is compared, cell by cell, with a peer's, 24h by default")
	f.DurationVar(&cfg.TruncateEvery, "truncate-every", 0, "`how` often logs lose what all devices have that are waited for; they are kept whole by default")
	f.DurationVar(&cfg.Lease, "lease", 0, "how `long` a device that is away is waited for, 720h by default; one that returns later gets cells instead of changes")
	f.StringVar(&cfg.Postgres, "postgres", os.Getenv("JOINERY_POSTGRES"), "keep the store in this PostgreSQL database instead of the data directory, `postgres://user@host/database` [$JOINERY_POSTGRES]")
	f.StringArrayVar(&cfg.Peers, "peer", list("JOINERY_PEERS"), "`address` of a device to sync with, while this one runs; repeatable [$JOINERY_PEERS, with commas]")
	f.StringVar(&cfg.PeerToken, "peer-token", os.Getenv("JOINERY_PEER_TOKEN"), "`file` with the token to show to those of --peer [$JOINERY_PEER_TOKEN]")
	f.StringVar(&cfg.Tokens, "tokens", os.Getenv("JOINERY_TOKENS"), "`file` with the tokens to ask for, if there are any, instead of the data directory's [$JOINERY_TOKENS]")
	f.StringVar(&cfg.TLSCert, "tls-cert", os.Getenv("JOINERY_TLS_CERT"), "listen with TLS, with the certificate in this `file`, in PEM [$JOINERY_TLS_CERT]")
	f.StringVar(&cfg.TLSKey, "tls-key", os.Getenv("JOINERY_TLS_KEY"), "`file` with its key [$JOINERY_TLS_KEY]")
	f.StringVar(&cfg.TLSCA, "tls-ca", os.Getenv("JOINERY_TLS_CA"), "`file` with authorities that sign the certificates of peers, besides the system's [$JOINERY_TLS_CA]")
	f.StringArrayVar(&cfg.Hosts, "host", list("JOINERY_HOSTS"), "`name`, besides localhost, under which this device may be addressed; repeatable [$JOINERY_HOSTS, with commas]")
	f.BoolVar(&cfg.AllowRemote, "insecure-no-auth", false, "listen where other machines can connect, and let them read and write everything")
	f.BoolVarP(&verbose, "verbose", "v", false, "log connections and what peers say, too")
	return cmd
}

func (a *app) runDaemon(cmd *cobra.Command, cfg daemon.Config) error {
	d, err := daemon.Open(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	if a.json {
		err = printJSON(cmd.OutOrStdout(), map[string]string{"address": d.Address(), "dir": string(cfg.Dir)})
	} else {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "listening on %s\n%sdata in %s\n", d.Address(), elsewhere(d.Address()), cfg.Dir)
	}
	if err != nil {
		cfg.Logger.Warn("nobody reads what this daemon prints", "err", err)
	}
	switch local := daemon.IsLocal(cfg.Listen); {
	case !local && !d.Guarded():
		cfg.Logger.Warn("whoever can connect can read and write everything: there is no authentication", "code", "no_auth")
	case !local && !d.Encrypted():
		cfg.Logger.Warn("whoever can read the network can read tokens and data: there is no TLS", "code", "no_tls")
	}
	return d.Run(cmd.Context())
}

// elsewhere says how other machines may address a daemon that listens on all of this
// one's addresses.
func elsewhere(address string) (lines string) {
	u, err := url.Parse(address)
	if err != nil || !net.ParseIP(u.Hostname()).IsUnspecified() {
		return ""
	}
	addrs, _ := net.InterfaceAddrs() // without them there is less to say
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
			lines += fmt.Sprintf("  from other machines: %s://%s\n", u.Scheme, net.JoinHostPort(ip.IP.String(), u.Port()))
		}
	}
	return lines
}

func logger(cmd *cobra.Command, verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
}

// env returns an environment variable, or what it is when it is not set.
func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// list returns the parts of an environment variable between commas.
func list(name string) []string {
	return strings.FieldsFunc(os.Getenv(name), func(r rune) bool { return r == ',' })
}
