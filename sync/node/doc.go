// Package node runs a node: durable spaces that are always writable, offline or
// not, and converge with those of other nodes when they meet. It is what
// applications embed.
//
//	st, err := boltstore.Open("notes.db", boltstore.Options{})
//	n, err := node.Open(ctx, node.Config{Store: st})
//	defer n.Close()
//
//	tags := node.ORSet[string]("tags")
//	notes := n.Space("notes")
//	err = notes.Update(ctx, func(tx *node.Tx) error {
//		return tags.Add(tx, "home")
//	})
//	go n.Sync(ctx, dialer) // a ws.Dialer, for example
//
// # Guarantees
//
//   - Update returns nil only when the change is durable; it is visible to
//     readers, watchers and peers only from then on.
//   - Changes from peers appear whole, once, and after everything their authors
//     had seen.
//   - Spaces of nodes that have applied the same changes are equal byte for
//     byte; nodes check it whenever they are level and report a difference.
//
// # How it works
//
// One goroutine, the committer, gathers waiting transactions and changes from
// peers into one store transaction, and publishes them when it is durable. Each
// link has a goroutine that reads and one that writes. Everything that decides
// anything is in the pure core, package sync.
//
// A Node and its Spaces are safe for concurrent use.
package node
