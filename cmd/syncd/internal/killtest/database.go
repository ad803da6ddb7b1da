package killtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
)

// patience is how long the daemon may take to notice that its database is gone,
// and how long to go on when it is back.
const patience = time.Minute

// strikeDatabase kills the database and starts it again. The daemon must say so
// meanwhile, and take writes afterwards; one time in four it is killed as well.
func (r *run) strikeDatabase(ctx context.Context, acked func() int64) error {
	if err := r.Database.Kill(); err != nil {
		return err
	}
	r.report.Database++
	if r.random.IntN(4) == 0 {
		time.Sleep(r.moment(r.Uptime))
		r.killDaemon()
		return r.Database.Run()
	}
	if err := r.await(ctx, "the status does not say that the database is away", away); err != nil {
		return err
	}
	if err := r.Database.Run(); err != nil {
		return err
	}
	before := acked()
	return r.await(ctx, "no write is acknowledged after the database is back", func(st *v1.Status) bool {
		return !away(st) && acked() > before
	})
}

// away reports whether the daemon says that it cannot reach its database.
func away(st *v1.Status) bool {
	return slices.ContainsFunc(st.Problems, func(p node.Problem) bool { return p.Code == v1.StoreUnavailable })
}

// await asks the daemon for its status until it is what is wanted. That it does
// not become so is a broken promise.
func (r *run) await(ctx context.Context, problem string, want func(*v1.Status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for ctx.Err() == nil {
		st, err := r.daemon.client.Status(ctx)
		switch {
		case errors.Is(err, client.ErrUnreachable):
			return fmt.Errorf("%w: the daemon went away by itself: %w", ErrLost, err)
		case err != nil && ctx.Err() == nil:
			return err
		case err == nil && want(&st):
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("%w: %s: %w", ErrLost, problem, ctx.Err())
}
