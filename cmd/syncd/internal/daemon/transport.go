package daemon

import (
	"net/http"

	"github.com/joinery-crdt/joinery/sync/wire"
	"github.com/joinery-crdt/joinery/sync/ws"
)

func dial(url string) (wire.Dialer, error) { return ws.NewDialer(url, ws.DialOptions{}) }

// accept takes requests of programs only: the API has refused those of pages.
func accept(w http.ResponseWriter, r *http.Request) (wire.Conn, error) {
	return ws.Accept(w, r, ws.AcceptOptions{})
}
