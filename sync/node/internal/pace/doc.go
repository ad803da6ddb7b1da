// Package pace decides when: when to try again, whom to let in, whom to suspect.
//
// It reads no clock and draws no random numbers: both are arguments, so that a
// test says what the time is. Values are not safe for concurrent use.
package pace
