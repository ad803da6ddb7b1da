package pace

import (
	"math"
	"time"
)

// window is how many intervals a Detector remembers.
const window = 64

// A Detector says how strange the silence of a peer is, from the heartbeats that
// came before: phi is -log10 of the probability that a heartbeat comes later
// than now. At phi 1 one in ten such suspicions is wrong, at phi 8 one in a
// hundred million.
//
// The intervals are taken to be normally distributed, with at least an eighth
// of their mean as the deviation: regular heartbeats would otherwise make a
// pause of milliseconds suspect.
//
// Source: Hayashibara, Défago, Yared, Katayama, "The φ accrual failure
// detector", SRDS 2004.
type Detector struct {
	intervals [window]float32 // seconds, the newest n of them
	n, next   int
	last      time.Time
}

// NewDetector returns a detector of a peer whose heartbeats are expected at that
// interval, until it is known better, and which was heard now.
func NewDetector(expected time.Duration, now time.Time) *Detector {
	d := &Detector{last: now}
	d.add(expected * 7 / 8)
	d.add(expected * 9 / 8)
	return d
}

// Heard notes a heartbeat.
func (d *Detector) Heard(now time.Time) {
	d.add(now.Sub(d.last))
	d.last = now
}

func (d *Detector) add(interval time.Duration) {
	d.intervals[d.next] = float32(max(interval, 0).Seconds())
	d.next = (d.next + 1) % window
	d.n = min(d.n+1, window)
}

// Last returns when the peer was last heard.
func (d *Detector) Last() time.Time { return d.last }

// Interval returns the mean time between heartbeats.
func (d *Detector) Interval() time.Duration {
	mean, _ := d.normal()
	return time.Duration(mean * float64(time.Second))
}

// normal returns mean and deviation of the intervals, in seconds.
func (d *Detector) normal() (mean, deviation float64) {
	for _, x := range d.intervals[:d.n] {
		mean += float64(x)
	}
	mean /= float64(d.n)
	var squares float64
	for _, x := range d.intervals[:d.n] {
		squares += (float64(x) - mean) * (float64(x) - mean)
	}
	return mean, max(math.Sqrt(squares/float64(d.n)), mean/8, 1e-3)
}

// Phi returns the suspicion at a time: 0 or more, and finite.
func (d *Detector) Phi(now time.Time) float64 {
	mean, deviation := d.normal()
	return -log10Later((now.Sub(d.last).Seconds() - mean) / deviation)
}

// log10Later returns the logarithm of the probability that a standard normal
// variable is above z.
func log10Later(z float64) float64 {
	x := z / math.Sqrt2
	if x < 20 {
		return math.Log10(math.Erfc(x) / 2)
	}
	// Erfc leaves the range of float64: the first terms of its asymptotic series.
	return -x*x*math.Log10E - math.Log10(2*x*math.SqrtPi) + math.Log10(1-1/(2*x*x))
}
