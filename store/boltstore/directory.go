package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

// spacePrefix starts the name of each bucket that holds a space. It sorts
// after all other buckets.
const spacePrefix = 's'

// bucketName returns the name of the bucket of a space: a prefix, the space's
// name, and a checksum.
func bucketName(space []byte) []byte {
	name := make([]byte, 0, 1+len(space)+sumSize)
	name = append(append(name, spacePrefix), space...)
	return binary.BigEndian.AppendUint32(name, sumOf(space).sum)
}

// spaceOf returns the name of the space in the name of a bucket.
func spaceOf(name []byte) ([]byte, error) {
	if n := len(name) - sumSize; n > 0 && bytes.Equal(bucketName(name[1:n]), name) {
		return name[1:n], nil
	}
	return nil, corrupt(nil, fmt.Errorf("name of a space: %w", errChecksum))
}

// findBucket returns the bucket of a space, nil if there is none. A damaged
// name would be one of those around the place of this one.
func findBucket(tx *bbolt.Tx, space []byte) (*bbolt.Bucket, error) {
	name := bucketName(space)
	if b := tx.Bucket(name); b != nil {
		return b, nil
	}
	c := tx.Cursor()
	k, _ := c.Seek(name)
	if err := soundName(k, name, +1); err != nil {
		return nil, err
	}
	if k != nil {
		k, _ = c.Prev()
	} else {
		k, _ = c.Last()
	}
	return nil, soundName(k, name, -1)
}

// soundName verifies the name of a bucket, if there is one, that lies above
// (order +1) or below (-1) the name of a space's.
func soundName(k, name []byte, order int) error {
	if k == nil || bytes.Equal(k, formatBucket) {
		return nil
	}
	if bytes.Compare(k, name) != order {
		return corrupt(nil, fmt.Errorf("name of a space: %w", errOrder))
	}
	_, err := spaceOf(k)
	return err
}
