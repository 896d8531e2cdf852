package store

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"redflag/internal/fleet"
)

// newID makes an ID that nobody else has: 50 random bits.
func newID() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return int64(binary.BigEndian.Uint64(b[:]) >> 14)
}

// newHostID makes a host's ID.
func newHostID() fleet.HostID { return fleet.HostID(newID()) }

// millis gives a time as the tables have it: unix milliseconds, 0 for never.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// moment reads it back.
func moment(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}
