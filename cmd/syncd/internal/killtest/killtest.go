package killtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A Report says what a run did.
type Report struct {
	Database int // kills of the database under writes
	Kills    int // of a daemon that took writes
	Early    int // of a daemon that was still starting
	Acked    int // transactions acknowledged
	Rejected int // attempts at transactions while the database was away
	Unknown  int // transactions cut off, of which either outcome is right
	Survived int // of those cut off, the ones that were there afterwards
	Took     time.Duration
}

// String returns one line.
func (r Report) String() string {
	text := fmt.Sprintf("%d kills under load, %d while starting: %d transactions acknowledged, all there; %d cut off, %d of them there, whole; %s",
		r.Kills, r.Early, r.Acked, r.Unknown, r.Survived, r.Took.Round(time.Second))
	if r.Database > 0 {
		text = fmt.Sprintf("%d kills of the database, %d attempts rejected meanwhile, none of them there; of the daemon, ", r.Database, r.Rejected) + text
	}
	return text
}

// run is one run of the test.
type run struct {
	Options
	daemon *daemon
	random *rand.Rand
	rounds []*round
	report Report
	out    io.Writer
}

// Run kills and restarts a daemon as the options say and checks it. It returns
// an error that is [ErrLost] if a promise was broken.
func Run(ctx context.Context, o Options, out io.Writer) (Report, error) {
	began := time.Now()
	r := &run{
		Options: o, out: out,
		daemon: &daemon{program: o.Program, dir: o.Dir, database: o.Database},
		random: rand.New(rand.NewPCG(o.Seed, 0)),
	}
	defer r.daemon.kill()
	for n := 1; n <= o.Kills; n++ {
		if err := r.round(ctx); err != nil {
			return r.report, fmt.Errorf("at kill %d: %w", n, err)
		}
		if n%100 == 0 {
			fmt.Fprintf(out, "%d kills, %d acknowledged, %d cut off\n", n, r.report.Acked, r.report.Unknown)
		}
	}
	err := r.checkAll(ctx)
	r.report.Took = time.Since(began)
	return r.report, err
}

// round starts the daemon, checks the round before and an earlier one, writes,
// and kills.
func (r *run) round(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	if n := len(r.rounds); n > 0 {
		if err := r.settle(ctx, r.rounds[n-1]); err != nil {
			return err
		}
		if err := r.rounds[r.random.IntN(n)].check(ctx, r.daemon); err != nil {
			return err
		}
	}
	next := newRound(len(r.rounds), r.Writers)
	r.rounds = append(r.rounds, next)
	return errors.Join(next.load(ctx, r.daemon, r.strike), ctx.Err())
}

// strike ends what is to be ended under the writers. acked returns how many
// acknowledgements they have had.
func (r *run) strike(ctx context.Context, acked func() int64) error {
	time.Sleep(r.moment(r.Uptime))
	if r.Database != nil {
		return r.strikeDatabase(ctx, acked)
	}
	r.killDaemon()
	return nil
}

func (r *run) killDaemon() {
	r.daemon.kill()
	r.report.Kills++
}

// begin starts the daemon unless it runs; one time in four it is killed on the
// way and started again.
func (r *run) begin(ctx context.Context) error {
	if r.daemon.process != nil {
		return nil
	}
	for r.random.IntN(4) == 0 {
		if err := r.daemon.startAndKill(ctx, r.moment(20*time.Millisecond)); err != nil {
			return err
		}
		r.report.Early++
	}
	return r.daemon.start(ctx)
}

// settle checks the round that the last kill ended and counts what it did.
func (r *run) settle(ctx context.Context, last *round) error {
	if err := last.check(ctx, r.daemon); err != nil {
		return err
	}
	for _, w := range last.writers {
		r.report.Acked += w.acked
		r.report.Rejected += w.rejected
		if w.unknown {
			r.report.Unknown++
			if w.survived {
				r.report.Survived++
			}
		}
	}
	return r.daemon.healthy(ctx)
}

// checkAll reads every round once more.
func (r *run) checkAll(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	if err := r.settle(ctx, r.rounds[len(r.rounds)-1]); err != nil {
		return err
	}
	for _, each := range r.rounds {
		if err := each.check(ctx, r.daemon); err != nil {
			return err
		}
	}
	return r.daemon.stop()
}

// load lets the writers write and, from the first acknowledgement on, strikes
// under them.
func (r *round) load(ctx context.Context, d *daemon, strike func(context.Context, func() int64) error) error {
	first, stop := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() { close(first) })
	var acked atomic.Int64
	var writers sync.WaitGroup
	for _, w := range r.writers {
		writers.Go(func() {
			w.write(ctx, d, stop, func() {
				acked.Add(1)
				once()
			})
			once()
		})
	}
	<-first
	err := strike(ctx, acked.Load)
	close(stop)
	writers.Wait()
	return err
}

// moment returns a random time below most.
func (r *run) moment(most time.Duration) time.Duration {
	return time.Duration(r.random.Int64N(int64(most)))
}
