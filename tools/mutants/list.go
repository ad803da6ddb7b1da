package main

// history is the check that the types are right on real history: the results
// were computed without them.
var history = check{
	"{syncd}", "replay", "../shared/data/histories/automerge-repo.ndjson.gz",
	"--expect", "../shared/data/histories/automerge-repo.expected.json",
}

// kills is the check that what was acknowledged survives kill -9.
var kills = check{"{syncd}", "killtest", "--kills", "100"}

// databaseKills is the check that it survives the loss of a hub's database.
var databaseKills = check{"{syncd}", "killtest", "--postgres", "--kills", "20"}

// mutants is the planted bugs, each with the check that must find it.
var mutants = []mutant{
	{
		Name:  "add-wins-removes-unseen-adds",
		File:  "crdt/causalkind.go",
		Old:   "merge.JoinDotFuns(live, seen, delta, w)",
		New:   "merge.JoinDotFuns(live, seen, delta, everything{k.name == \"orset\" && !w.Put, w})",
		Check: history,
		Append: `
type everything struct {
	always bool
	write  Write
}

func (e everything) Contains(d merge.Dot) bool { return e.always || e.write.Contains(d) }
`,
	},
	{
		Name:  "remove-wins-lets-an-add-win",
		File:  "crdt/causalkind.go",
		Old:   "if string(e.Value) == string(Removed) {\n\t\t\treturn false, nil",
		New:   "if string(e.Value) == string(Added) {\n\t\t\treturn true, nil",
		Check: history,
	},
	{
		Name:  "two-phase-first-stage-stays",
		File:  "crdt/latticekind.go",
		Old:   "if from.stage <= p.stage {",
		New:   "if from.stage <= p.stage || p.stage != 0 {",
		Check: history,
	},
	{
		Name:  "causal-delivery-ignores-dependencies",
		File:  "sync/space.go",
		Old:   "\tfor _, dep := range c.Deps {",
		New:   "\tif len(c.Deps) >= 0 {\n\t\treturn merge.Dot{}, false\n\t}\n\tfor _, dep := range c.Deps {",
		Check: history,
	},
	{
		Name:  "dedupe-lets-repeats-through",
		File:  "sync/stage.go",
		Old:   "if st.Contains(c.Dot) {\n\t\treturn st.checkDuplicate(c)",
		New:   "if false {\n\t\treturn st.checkDuplicate(c)",
		Check: history,
	},
	{
		Name:  "register-keeps-what-a-write-has-seen",
		File:  "merge/dotfun.go",
		Old:   "if seenByB.Contains(a.entries[i].Dot) {",
		New:   "if seenByB.Contains(a.entries[i].Dot) && len(b.entries) == 0 {",
		Check: history,
	},
	{
		Name:  "counter-subtracts-by-adding",
		File:  "crdt/latticekind.go",
		Old:   "side, by = &s.N, -uint64(n)",
		New:   "side, by = &s.P, -uint64(n)",
		Check: history,
	},
	{
		Name:  "acknowledges-before-the-commit",
		File:  "store/boltstore/group.go",
		Old:   "func (s *Store) finish(g *group) {\n\tdefer close(g.done)",
		New:   "func (s *Store) finish(g *group) {\n\tclose(g.done)",
		Check: kills,
	},
	{
		Name:  "hub-acknowledges-before-the-commit",
		File:  "store/pgstore/group.go",
		Old:   "func (s *Store) finish(g *group) {\n\tdefer close(g.done)",
		New:   "func (s *Store) finish(g *group) {\n\tclose(g.done)",
		Check: databaseKills,
	},
}
