// Package crdttest proves a replicated type before it is shipped: a built-in
// one, or one of your own.
//
// Agreement is a poor judge: replicas of a wrong type often agree on a wrong
// value. The kit therefore plays histories in which it knows, of every change,
// what its author had seen, and compares every replica with a specification: a
// function from the visible changes to the value ([Spec]).
//
// # What is checked
//
// [Check] takes a stand-alone type as a [Form] and plays programs drawn from one
// seed: three replicas change things, exchange deltas that are lost, repeated,
// reordered and merged with each other, merge whole states and restart from
// their bytes. What must hold is listed with [Clause]; the laws are those of
// package mergetest.
//
// [CheckKind] takes a [crdt.Kind], whose objects are kept as cells, and
// [CheckTogether] both forms of one type, which must read alike and refuse the
// same changes.
//
// All of them return nil or a [*Failure]: the shortest program that could be
// found, as a readable trace. None of them takes a [testing.T], so that a test
// can hand them a wrong type and demand its rejection.
//
// # Specifications
//
// Those of the types of package crdt are here by name, such as [ORSetSpec]. They
// are written with the set operations of [Changes]: that an element of an
// add-wins set is present if some add of it has been seen by no remove reads
//
//	len(adds.UnseenBy(removes)) > 0
//
// # Limits
//
// A nil answer is about the programs that were tried. A history has at most 64
// changes, three elements and three authors. A change is made only by a replica
// that has the causes of all it has seen: no specification says what others
// mean. Nothing here is safe for concurrent use of one value.
//
// Source: Zeller, Bieniusa, Poetzsch-Heffter, "Formal Specification and
// Verification of CRDTs", FORTE 2014, and Burckhardt, Gotsman, Yang, Zawirski,
// "Replicated Data Types: Specification, Verification, Optimality", POPL 2014,
// for values as functions of the visible changes; Claessen, Hughes,
// "QuickCheck", ICFP 2000, for programs that shrink.
package crdttest
