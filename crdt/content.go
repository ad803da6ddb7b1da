package crdt

// encodeContent is EncodeValue for the content of a register, which must be
// readable as a T later.
func encodeContent[T any](v T) ([]byte, error) {
	b, err := EncodeValue(v)
	if err != nil {
		return nil, err
	}
	if err := checkReadable[T](b); err != nil {
		return nil, err
	}
	return b, nil
}

// checkContent returns a [*ValueError] unless b is canonical and readable as a T.
func checkContent[T any](b []byte) error {
	if err := CheckValue(b); err != nil {
		return err
	}
	return checkReadable[T](b)
}

// checkReadable decodes b, which is canonical. It need not for T any, which all
// canonical bytes can be read as, at up to 120 times their size.
func checkReadable[T any](b []byte) error {
	if _, ok := any((*T)(nil)).(*any); ok {
		return nil
	}
	_, err := DecodeValue[T](b)
	return err
}

// decodeContent reads what passed one of the checks above.
func decodeContent[T any](b []byte) T { return must(DecodeValue[T](b)) }
