package merge

import "slices"

// run is the sequence numbers first..last, both inclusive.
type run struct{ first, last uint64 }

// contains reports whether all of s is in r.
func (r run) contains(s run) bool { return r.first <= s.first && s.last <= r.last }

// reaches reports whether r starts no later than just behind s.
func (r run) reaches(s run) bool { return r.first-1 <= s.last }

// extend moves the end of r to last, if that is further, and reports a change.
func (r *run) extend(last uint64) bool {
	if last <= r.last {
		return false
	}
	r.last = last
	return true
}

// runs is a set of sequence numbers: ascending runs, of which no two touch.
type runs []run

// endingAt returns the index of the first run that ends at seq or behind it.
func (rs runs) endingAt(seq uint64) int {
	if n := len(rs); n == 0 || rs[n-1].last < seq {
		return n
	}
	low, end := 0, len(rs)-1
	for low < end {
		if mid := int(uint(low+end) / 2); rs[mid].last < seq {
			low = mid + 1
		} else {
			end = mid
		}
	}
	return low
}

// contains reports whether seq is in the set; 0 never is.
func (rs runs) contains(seq uint64) bool {
	i := rs.endingAt(seq)
	return i < len(rs) && rs[i].first <= seq
}

// containsAll reports whether all of more is in the set.
func (rs runs) containsAll(more runs) bool {
	i := 0
	for _, r := range more {
		for i < len(rs) && rs[i].last < r.last {
			i++
		}
		if i == len(rs) || !rs[i].contains(r) {
			return false
		}
	}
	return true
}

// add includes r and reports a change.
func (rs *runs) add(r run) bool {
	if n := len(*rs); n > 0 && (*rs)[n-1].first <= r.first && r.reaches((*rs)[n-1]) {
		return (*rs)[n-1].extend(r.last) // mostly the next number, or one that is known
	}
	i := rs.endingAt(r.first - 1) // the first run that touches r or lies behind it
	if i < len(*rs) && (*rs)[i].contains(r) {
		return false
	}
	j := i
	for ; j < len(*rs) && (*rs)[j].reaches(r); j++ {
		r.first, r.last = min(r.first, (*rs)[j].first), max(r.last, (*rs)[j].last)
	}
	*rs = slices.Replace(*rs, i, j, r)
	return true
}

// merge includes all of more and reports a change. It does not retain more.
func (rs *runs) merge(more runs) (changed bool) {
	if len(more) > 8 && len(more) > len(*rs)/16 {
		return rs.unite(more)
	}
	for _, r := range more {
		changed = rs.add(r) || changed
	}
	return changed
}

// unite is merge for many runs: it walks both sets once.
func (rs *runs) unite(more runs) bool {
	mine := *rs
	if mine.containsAll(more) {
		return false
	}
	*rs = make(runs, 0, len(mine)+len(more))
	for _, r := range more {
		for ; len(mine) > 0 && mine[0].last < r.last; mine = mine[1:] {
			rs.push(mine[0])
		}
		rs.push(r)
	}
	for _, r := range mine {
		rs.push(r)
	}
	return true
}

// push includes r, which ends no earlier than any other run.
func (rs *runs) push(r run) {
	n := len(*rs)
	for ; n > 0 && r.reaches((*rs)[n-1]); n-- {
		r.first = min(r.first, (*rs)[n-1].first)
	}
	*rs = append((*rs)[:n], r)
}
