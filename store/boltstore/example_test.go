package boltstore_test

import (
	"context"
	"fmt"
	"os"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
)

func Example() {
	dir, err := os.MkdirTemp("", "joinery")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	s, err := boltstore.Open(dir, boltstore.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	ctx := context.Background()
	err = s.Update(ctx, func(tx store.Tx) error {
		return tx.Put("notes", store.Cells, []byte("title"), []byte("Shopping"))
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = s.View(ctx, func(r store.Reader) error {
		title, err := r.Get("notes", store.Cells, []byte("title"))
		fmt.Printf("%s\n", title)
		return err
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: Shopping
}
