package killtest

// Judge judges what was found of a writer that had so many acknowledgements.
func Judge(acked int, unknown, survived bool, one, two, count, last int) error {
	w := &writer{acked: acked, unknown: unknown, survived: survived}
	return w.judge(map[string]int{"one": one, "two": two, "count": count, "last": last})
}

// Elements is what is read of a set.
var Elements = elements
