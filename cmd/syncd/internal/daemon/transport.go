package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"

	"github.com/joinery-crdt/joinery/sync/wire"
	"github.com/joinery-crdt/joinery/sync/ws"
)

// dialer returns what makes dialers of peers. It trusts the authorities in a file,
// if one is named, besides the system's.
func dialer(caFile string) (func(url string) (wire.Dialer, error), error) {
	var opts ws.DialOptions
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTLS, err)
		}
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: %s holds no certificate in PEM", ErrTLS, caFile)
		}
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
		opts.HTTPClient = &http.Client{Transport: transport}
	}
	return func(url string) (wire.Dialer, error) { return ws.NewDialer(url, opts) }, nil
}

// accept takes requests of programs only: the API has refused those of pages.
func accept(w http.ResponseWriter, r *http.Request) (wire.Conn, error) {
	return ws.Accept(w, r, ws.AcceptOptions{})
}
