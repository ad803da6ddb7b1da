package node_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/ws"
)

// The README shows the lines between the markers as they are here.
func Example() {
	dir := must(os.MkdirTemp("", "notes-"))
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	hub, closeHub := startHub(ctx)
	defer closeHub()

	// README begin
	st := must(boltstore.Open(dir, boltstore.Options{})) // durable, on this device
	n := must(node.Open(ctx, node.Config{Store: st}))
	defer n.Close()

	var ( // typed references: a key and a type, usable from any goroutine
		title = node.LWW[string]("title")
		tags  = node.ORSet[string]("tags")
		likes = node.PNCounter("likes")
	)
	notes := n.Space("notes")
	err := notes.Update(ctx, func(tx *node.Tx) error { // one atomic change; nil means durable
		title.Set(tx, "Groceries")
		tags.Add(tx, "home")
		return likes.Add(tx, 2)
	})
	watch := notes.Watch(ctx, node.Prefix("tag"))             // what changes from now on
	go n.Sync(ctx, must(ws.NewDialer(hub, ws.DialOptions{}))) // keeps trying; n.Status() says why when it cannot

	for ev, err := range watch { // the hub has another tag
		fmt.Println(ev.Object, ev.Local, err)
		break
	}
	err = errors.Join(err, notes.View(ctx, func(v *node.View) error { // one consistent snapshot
		for tag, err := range tags.All(v) {
			fmt.Println(tag, err)
		}
		return nil
	}))
	// README end
	fmt.Println(err)
	// Output:
	// {tags orset} false <nil>
	// home <nil>
	// work <nil>
	// <nil>
}

// must stands for what an application does about errors.
func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// startHub runs a node that holds a tag and accepts peers, and returns its URL.
func startHub(ctx context.Context) (url string, closeHub func()) {
	n := must(node.Open(ctx, node.Config{Store: memstore.New(), Name: "hub"}))
	err := n.Space("notes").Update(ctx, func(tx *node.Tx) error { return node.ORSet[string]("tags").Add(tx, "work") })
	if err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := ws.Accept(w, r, ws.AcceptOptions{}); err == nil {
			_ = n.Serve(ctx, conn)
		}
	}))
	return "ws" + strings.TrimPrefix(srv.URL, "http"), func() {
		srv.Close()
		n.Close()
	}
}
