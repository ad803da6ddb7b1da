// Package bench compares this module with plain baselines, and with rivals where
// they can be had, outside the module so that users do not inherit what it
// needs. "go run ./table" prints one table of ratios, "go run ./ladder" one of what
// catching up puts on the network, "go run ./store" what the stores cost.
package bench
