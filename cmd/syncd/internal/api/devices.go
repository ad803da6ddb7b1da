package api

import (
	"net/http"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
)

// devices lists the devices that keep spaces of this one.
func (s *server) devices(w http.ResponseWriter, _ *http.Request) error {
	return reply(w, http.StatusOK, v1.Devices{Devices: s.Node.Devices()})
}

// turnDevice retires a device or takes it back.
func (s *server) turnDevice(do func(*node.Node, string) (node.Device, error)) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var body v1.DeviceChoice
		if err := readBody(w, r, &body); err != nil {
			return err
		}
		d, err := do(s.Node, body.Device)
		if err != nil {
			return err
		}
		return reply(w, http.StatusOK, d)
	}
}
