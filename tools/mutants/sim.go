package main

// simulator is the check that the simulator judges the core right: the guards
// of package sync are taken away one by one, and an oracle must notice.
var simulator = check{"{joinery-sim}", "-seeds", "500", "-steps", "300", "-again", "0", "-shrink", "0"}

// guards is the guards of the core, each with what is left when it is gone.
var guards = []mutant{
	guard("sync/stage.go", "last-stamp-is-the-latest-to-come",
		"st.summary.LastTime = max(st.summary.LastTime, c.Time)", "st.summary.LastTime = c.Time"),
	guard("sync/stage.go", "author-names-one-dependency", "if o != self {", "if o != self && len(deps) == 0 {"),
	guard("sync/stage.go", "unread-ops-are-not-counted", "st.summary.Unread += unread", "_ = unread"),
	guard("sync/reread.go", "upgraded-nodes-read-nothing-again", "target.after = after", "_ = after"),
	guard("sync/snapshot.go", "older-nodes-take-what-they-cannot-read", "return unknownType(m.news(), key.Kind)\n\t}\n\ttarget", "return nil\n\t}\n\ttarget"),
	guard("sync/stage.go", "dependencies-stay-tips", "\t\t\tdelete(st.tips, dep.Origin)\n", ""),
	guard("sync/stage.go", "what-waits-for-what-waited-stays", "applied = append(applied, c.Dot)\n", "_ = applied\n"),
	guard("sync/space.go", "predecessors-are-not-awaited", "if c.Dot.Seq > at.Head(c.Dot.Origin).Seq+1 {", "if false {"),
	guard("sync/space.go", "room-is-not-given-back", "\t\tdelete(w.changes, dot)\n", ""),
	guard("sync/outbox.go", "frames-have-no-size", "size < 0 && len(batch) > 0", "size < 0 && len(batch) > 1e6"),
	guard("sync/link.go", "news-is-not-sent", "\t\t\ts.out.Add(d)\n", "\t\t\t_ = d\n"),
	guard("sync/link_tick.go", "never-asks-again", "!level && s.stalled(l.local)", "!level && false && s.stalled(l.local)"),
	guard("sync/link_tick.go", "asks-only-for-what-it-knows-of", "!l.need(s, r)\n", "!l.need(s, r) && false\n"),
	guard("sync/fragment.go", "fragments-are-taken-in-any-order",
		"offset != uint64(len(e.buf)) || !p.grow", "!p.grow"),
	// What the peer asks for next makes this good, at the cost of heartbeats: the
	// simulator needs 1,308 seeds of 500 steps.
	{
		Name: "resumes-one-byte-later", File: "sync/link_fragment.go", Old: "\to.at = offset\n", New: "\to.at = offset + 1\n",
		Check: check{"./sync", "-run", "TestFragmentTailIsAskedFor"},
	},
	guard("internal/spacestore/spacestore.go", "tips-are-not-stored", "\tif h.Tip {\n\t\ttip = 1", "\tif false {\n\t\ttip = 1"),
	guard("internal/spacestore/spacestore.go", "empty-cells-are-absent",
		"return append([]byte{}, b...), nil", "return append([]byte(nil), b...), nil"),
}

func guard(file, name, before, after string) mutant {
	return mutant{Name: name, File: file, Old: before, New: after, Check: simulator}
}
