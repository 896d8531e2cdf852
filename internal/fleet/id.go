package fleet

import (
	"encoding/base32"
	"fmt"
	"strings"
)

// HostID names a host in a fleet for ever, whatever the host is called: 10 characters that are easy to read aloud.
type HostID int64

// idBits keep an ID exact where numbers are floating-point, in a page's JavaScript.
const idBits = 50

var idLetters = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// String gives the ID as people and URLs have it.
func (id HostID) String() string {
	var b [8]byte
	for i := range b {
		b[i] = byte(id << (64 - idBits) >> (56 - 8*i))
	}
	return idLetters.EncodeToString(b[:])[:idBits/5]
}

// ParseHostID reads what [HostID.String] gives.
func ParseHostID(s string) (HostID, error) {
	b, err := idLetters.DecodeString(strings.ToLower(s) + "000")
	if err != nil || len(s) != idBits/5 {
		return 0, fmt.Errorf("%q is no host's ID", Plain(s))
	}
	var id uint64
	for _, c := range b {
		id = id<<8 | uint64(c)
	}
	return HostID(id >> (64 - idBits)), nil
}

// MarshalText implements encoding.TextMarshaler.
func (id HostID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *HostID) UnmarshalText(text []byte) error {
	parsed, err := ParseHostID(string(text))
	if err == nil {
		*id = parsed
	}
	return err
}
