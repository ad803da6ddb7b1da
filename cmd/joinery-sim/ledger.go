package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/joinery-crdt/joinery/sync/simnet"
)

// A chunk is the account of one part of a long campaign, a line in its file.
type chunk struct {
	Date     string         `json:"date"`
	Commit   string         `json:"commit"`
	Command  string         `json:"command"`
	First    uint64         `json:"first"` // seed
	Seeds    int            `json:"seeds"`
	Steps    int            `json:"steps"` // executed
	Changes  int            `json:"changes"`
	Wall     float64        `json:"wall"` // seconds
	CPU      float64        `json:"cpu"`  // seconds
	Coverage map[string]int `json:"coverage"`
	Failure  string         `json:"failure,omitempty"` // with which it ended
}

// A ledger is the file of a long campaign, which goes on where it says.
type ledger struct {
	path   string
	chunks []chunk
}

// openLedger reads the file, which need not exist. A line that a crash has cut
// off is forgotten, and its seeds are run again.
func openLedger(path string) (*ledger, error) {
	l := &ledger{path: path}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c chunk
		if json.Unmarshal(lines.Bytes(), &c) == nil && c.Seeds > 0 {
			l.chunks = append(l.chunks, c)
		}
	}
	return l, lines.Err()
}

// next returns the seed after the last one that was run, and first for none.
func (l *ledger) next(first uint64) uint64 {
	for _, c := range l.chunks {
		first = max(first, c.First+uint64(c.Seeds))
	}
	return first
}

// add writes a chunk and makes sure that it stays.
func (l *ledger) add(c chunk) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	// A line cut off before this one ends here.
	_, err = f.Write(append(append([]byte("\n"), b...), '\n'))
	l.chunks = append(l.chunks, c)
	return errors.Join(err, f.Sync(), f.Close())
}

// runLedger runs what is left of a campaign, chunk by chunk, stops at the first
// failure and prints the rows for the ledger in the documentation.
func runLedger(stdout, stderr io.Writer, o options) int {
	l, err := openLedger(o.ledger)
	if err != nil {
		fmt.Fprintln(stderr, "joinery-sim:", err)
		return 2
	}
	whole, code := o.campaign, 0
	end := whole.First + uint64(whole.Seeds)
	for at := l.next(whole.First); at < end && code == 0; at = l.next(whole.First) {
		o.campaign.First, o.campaign.Seeds = at, int(min(uint64(o.chunk), end-at))
		var c chunk
		c, code = runChunk(stdout, o)
		if err := l.add(c); err != nil {
			fmt.Fprintln(stderr, "joinery-sim:", err)
			return 2
		}
	}
	l.print(stdout)
	if absent := l.absent(); code == 0 && len(absent) > 0 && whole.Seeds*whole.Steps >= enough {
		fmt.Fprintf(stdout, "FAILED: never happened: %s\n", strings.Join(absent, ", "))
		return 1
	}
	return code
}

func runChunk(stdout io.Writer, o options) (c chunk, code int) {
	start, cpu := time.Now(), cpuTime()
	r := o.campaign.Run()
	c = chunk{
		Date: start.UTC().Format(time.DateOnly), Commit: commit(),
		Command: fmt.Sprintf("-steps %d -again %d", o.campaign.Steps, o.campaign.Again),
		First:   o.campaign.First, Seeds: r.Seeds, Steps: r.Steps, Changes: r.Changes,
		Wall: time.Since(start).Seconds(), CPU: (cpuTime() - cpu).Seconds(), Coverage: make(map[string]int),
	}
	for f, n := range r.Coverage {
		c.Coverage[simnet.Fault(f).String()] = n
	}
	fmt.Fprintf(stdout, "seeds %d to %d: %d steps in %.0f s (processor %.0f s)\n",
		c.First, c.First+uint64(c.Seeds)-1, c.Steps, c.Wall, c.CPU)
	if r.Failure != nil {
		c.Seeds = int(r.Failure.Seed - c.First + 1)
		c.Failure = fmt.Sprintf("failed at seed %d: %s", r.Failure.Seed, r.Failure.Failure.Oracle)
		printFailure(stdout, r, o)
		return c, 1
	}
	return c, 0
}

// absent returns the faults that no chunk has met.
func (l *ledger) absent() (names []string) {
	for f := range (simnet.Coverage{}) {
		name, met := simnet.Fault(f).String(), false
		for _, c := range l.chunks {
			met = met || c.Coverage[name] > 0
		}
		if !met {
			names = append(names, name)
		}
	}
	return names
}

// print sums up the chunks that belong together, a row of a table for each sum.
func (l *ledger) print(w io.Writer) {
	var sum chunk
	for i, c := range l.chunks {
		if i == 0 {
			sum = c
			continue
		}
		if c.Commit != sum.Commit || c.Command != sum.Command || sum.Failure != "" {
			sum.print(w)
			sum = c
			continue
		}
		sum.Seeds, sum.Steps, sum.Changes = sum.Seeds+c.Seeds, sum.Steps+c.Steps, sum.Changes+c.Changes
		sum.Wall, sum.CPU, sum.Failure = sum.Wall+c.Wall, sum.CPU+c.CPU, c.Failure
	}
	if len(l.chunks) > 0 {
		sum.print(w)
	}
}

func (c chunk) print(w io.Writer) {
	result := "every oracle held"
	if c.Failure != "" {
		result = "**" + c.Failure + "**"
	}
	duration := func(s float64) time.Duration { return (time.Duration(s) * time.Second) }
	fmt.Fprintf(w, "| %s | %s | `%s -start %d` | %d | %d | %d | %v (%v) | %s |\n", c.Date, c.Commit, c.Command, c.First,
		c.Seeds, c.Steps, c.Changes, duration(c.Wall), duration(c.CPU), result)
}

// commit returns the commit that the program was built from, as far as it knows.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	at := map[string]string{"vcs.revision": "unknown"}
	for _, s := range info.Settings {
		at[s.Key] = s.Value
	}
	name := at["vcs.revision"][:7]
	if at["vcs.modified"] == "true" {
		name += " and more"
	}
	return name
}
