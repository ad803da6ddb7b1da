package hlc_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/joinery-crdt/joinery/hlc"
)

func ExampleClock() {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	clock, err := hlc.NewClock(hlc.Config{Now: func() time.Time { return noon }})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(clock.Now())

	// A message from a device whose clock is five seconds fast.
	fast := hlc.New(noon.Add(5*time.Second).UnixMilli(), 0)
	if err := clock.Observe(fast); err != nil {
		fmt.Println(err)
	}
	fmt.Println(fast.Before(clock.Now()))
	// Output:
	// 019b7e9432000000
	// true
}

func ExampleClock_Observe_tooFarAhead() {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	clock, err := hlc.NewClock(hlc.Config{Now: func() time.Time { return noon }})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = clock.Observe(hlc.New(noon.Add(time.Hour).UnixMilli(), 0))
	if drift, ok := errors.AsType[*hlc.DriftError](err); ok {
		fmt.Println("held back:", drift.Ahead(), "ahead")
	}
	// Output: held back: 1h0m0s ahead
}

func ExampleTimestamp() {
	stamp := hlc.New(1_767_355_200_000, 7)
	fmt.Println(stamp, stamp.Time().Format(time.RFC3339), stamp.Counter())

	again, err := hlc.Parse("019b7e9432000007")
	fmt.Println(again == stamp, err)
	// Output:
	// 019b7e9432000007 2026-01-02T12:00:00Z 7
	// true <nil>
}

func ExampleLeasedClock() {
	var stored hlc.Timestamp // stands for a file, written with fsync
	save := func(bound hlc.Timestamp) error {
		stored = bound
		return nil
	}
	clock, err := hlc.NewLeasedClock(hlc.Config{After: stored}, save)
	if err != nil {
		fmt.Println(err)
		return
	}
	before, err := clock.Now()
	if err != nil {
		fmt.Println(err)
		return
	}

	// The process is killed; the wall clock is reset to 1970 by a dead battery.
	clock, err = hlc.NewLeasedClock(hlc.Config{
		After: stored,
		Now:   func() time.Time { return time.UnixMilli(0) },
	}, save)
	if err != nil {
		fmt.Println(err)
		return
	}
	after, err := clock.Now()
	fmt.Println(before.Before(after), err)
	// Output: true <nil>
}
