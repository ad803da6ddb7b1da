package node

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A Device is another node that keeps spaces of this one.
type Device struct {
	Origin    merge.Origin  `json:"origin"`
	Name      string        `json:"name,omitempty"`
	Hub       bool          `json:"hub,omitempty"`
	Connected bool          `json:"connected"` // to this node
	Seen      time.Time     `json:"seen"`      // when somebody last heard it, to the hour
	Retired   bool          `json:"retired,omitempty"`
	Lapsed    bool          `json:"lapsed,omitempty"` // unheard for longer than the lease
	Spaces    []DeviceSpace `json:"spaces"`
}

// A DeviceSpace is the state of one space at a device, as far as is known.
type DeviceSpace struct {
	Name    string `json:"name"`
	Missing uint64 `json:"missing"` // changes of this node's that it has not acknowledged
}

// A Blocker is a device for which the stability frontier of a space waits.
type Blocker struct {
	Origin  merge.Origin `json:"origin"`
	Name    string       `json:"name,omitempty"`
	Missing uint64       `json:"missing"` // changes that it has not acknowledged
	Since   time.Time    `json:"since"`   // when somebody last heard it, to the hour
}

// Devices returns the devices that this node knows of, by origin.
func (n *Node) Devices() []Device {
	byOrigin := make(map[merge.Origin]*Device)
	for _, s := range n.allSpaces() {
		own, cut := s.Vector(), s.cuts()
		for _, m := range s.members.list() {
			d, ok := byOrigin[m.Origin]
			if !ok {
				d = &Device{Origin: m.Origin}
				byOrigin[m.Origin] = d
			}
			d.add(m, n)
			d.Spaces = append(d.Spaces, DeviceSpace{s.name, crdtsync.Beyond(own, m.Vector(cut))})
		}
	}
	for _, l := range n.allLinks() {
		if hello := l.hello(); hello != nil && byOrigin[hello.Origin] != nil {
			byOrigin[hello.Origin].Connected = true
		}
	}
	list := make([]Device, 0, len(byOrigin))
	for _, d := range byOrigin {
		list = append(list, *d)
	}
	slices.SortFunc(list, func(a, b Device) int { return a.Origin.Compare(b.Origin) })
	return list
}

// add takes over what one space knows of the device.
func (d *Device) add(m *crdtsync.Member, n *Node) {
	seen := time.Unix(int64(m.Seen), 0).UTC()
	if !seen.Before(d.Seen) {
		d.Name, d.Hub, d.Seen = cmp.Or(m.Name, d.Name), m.Hub, seen
	}
	d.Retired = d.Retired || m.Retired()
	d.Lapsed = n.now() > m.Seen+n.lease()
}

// Errors of Retire and Return.
var (
	ErrNoDevice     = errors.New("node: no such device")
	ErrManyDevices  = errors.New("node: several devices have this name")
	errDeviceChoice = "use the origin instead, as syncd devices lists it"
)

// Retire says that a device, given by its name or origin, will not come back:
// nothing waits for it any more, here and, as the news spreads, elsewhere. What
// it wrote stays, and if it does come back it syncs like any other.
func (n *Node) Retire(device string) (Device, error) { return n.turn(device, true) }

// Return takes back a device that was retired: it is waited for again.
func (n *Node) Return(device string) (Device, error) { return n.turn(device, false) }

func (n *Node) turn(device string, retire bool) (Device, error) {
	d, err := n.device(device)
	if err != nil {
		return d, err
	}
	for _, s := range n.allSpaces() {
		n.withMember(s.name, d.Origin, func(r *crdtsync.Roster) { r.Turn(d.Origin, retire) })
	}
	n.keep()
	d.Retired = retire
	return d, nil
}

// device finds a device by its origin or its name.
func (n *Node) device(text string) (Device, error) {
	all := n.Devices()
	if i := slices.IndexFunc(all, func(d Device) bool { return d.Origin.String() == text }); i >= 0 {
		return all[i], nil
	}
	named := slices.DeleteFunc(all, func(d Device) bool { return d.Name != text || text == "" })
	switch len(named) {
	case 0:
		return Device{}, fmt.Errorf("%w: %q; see syncd devices", ErrNoDevice, text)
	case 1:
		return named[0], nil
	}
	return Device{}, fmt.Errorf("%w: %q is the name of %d; %s", ErrManyDevices, text, len(named), errDeviceChoice)
}

// quiet is how long a device that others wait for may not be heard before that
// is a problem to show.
const quiet = 24 * time.Hour

// addStability says how much of the space is stable, and for whom the rest waits.
func (s *Space) addStability(st *Status) {
	own, census := s.Vector(), s.census()
	if own.Len() == 0 {
		return
	}
	sp := Stability{Space: s.name, Blockers: []Blocker{}}
	for _, m := range census.Blockers(own) {
		b := Blocker{m.Origin, m.Name, m.Missing, time.Unix(int64(m.Seen), 0).UTC()}
		sp.Blockers = append(sp.Blockers, b)
		if census.Now >= m.Seen+uint64(quiet/time.Second) {
			st.Problems = append(st.Problems, b.problem(s.name))
		}
	}
	for d := range census.Frontier(own).Heads() {
		sp.Stable += d.Seq
	}
	st.Stability = append(st.Stability, sp)
}

func (b *Blocker) problem(space string) Problem {
	who := cmp.Or(b.Name, b.Origin.String())
	return Problem{
		Code: "stability_blocked", Space: space, Peer: who,
		Cause:  fmt.Sprintf("%s has not been heard since %s and has not acknowledged %d changes, which are kept for it", who, b.Since.Format(time.RFC3339), b.Missing),
		Action: "connect it; if it will not come back: syncd devices retire " + b.Origin.String(),
	}
}
