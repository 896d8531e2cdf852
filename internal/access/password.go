package access

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Parameters of argon2id, as OWASP's Password Storage Cheat Sheet has them: 19 MiB, two passes, one lane.
const (
	argonMemory = 19 << 10 // KiB
	argonTime   = 2
	argonLanes  = 1
	saltBytes   = 16
	keyBytes    = 32
)

// Bounds of what a stored hash may ask for, so that a damaged one cannot exhaust the machine.
const (
	maxMemory = 256 << 10 // KiB
	maxTime   = 16
	maxLanes  = 16
	maxField  = 128 // bytes of salt or key
)

// Bounds of a password (NIST SP 800-63B §3.1.1: at least 8 characters, and long ones must be allowed).
const (
	MinPassword = 8
	MaxPassword = 1024 // bytes
)

// ErrPassword: a password that is too short or too long.
var ErrPassword = fmt.Errorf("a password has at least %d characters and at most %d bytes", MinPassword, MaxPassword)

// atOnce bounds how many passwords are hashed at a time: each takes 19 MiB.
var atOnce = make(chan struct{}, 2)

// HashPassword gives what is kept of a password, in the PHC string format.
func HashPassword(password string) (string, error) {
	if len([]rune(password)) < MinPassword || len(password) > MaxPassword {
		return "", ErrPassword
	}
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	p := phc{memory: argonMemory, time: argonTime, lanes: argonLanes, salt: salt}
	p.key = p.derive(password, keyBytes)
	return p.String(), nil
}

// CheckPassword says whether a password is the one that was hashed. What is no hash, an empty one above all, is nobody's, and takes as long
// to say: who calls it for a user that is not there does not tell by the time that there is none.
func CheckPassword(hash, password string) bool {
	if len(password) > MaxPassword {
		return false
	}
	p, err := parsePHC(hash)
	if err != nil {
		p = phc{memory: argonMemory, time: argonTime, lanes: argonLanes, salt: make([]byte, saltBytes)}
		p.derive(password, keyBytes)
		return false
	}
	return subtle.ConstantTimeCompare(p.key, p.derive(password, len(p.key))) == 1
}

// phc is a hash with all that is needed to make it again.
type phc struct {
	memory, time uint32
	lanes        uint8
	salt, key    []byte
}

func (p phc) derive(password string, n int) []byte {
	atOnce <- struct{}{}
	defer func() { <-atOnce }()
	return argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.lanes, uint32(n)) //nolint:gosec // bounded by maxField
}

// String gives the PHC string format (github.com/P-H-C/phc-string-format).
func (p phc) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.lanes, b64(p.salt), b64(p.key))
}

var errPHC = errors.New("no argon2id hash")

func parsePHC(s string) (phc, error) {
	var p phc
	fields := strings.Split(s, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" || fields[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, errPHC
	}
	var rest string
	if n, _ := fmt.Sscanf(fields[3]+" ", "m=%d,t=%d,p=%d%s", &p.memory, &p.time, &p.lanes, &rest); n != 3 {
		return p, errPHC
	}
	var err, err2 error
	p.salt, err = base64.RawStdEncoding.Strict().DecodeString(fields[4])
	p.key, err2 = base64.RawStdEncoding.Strict().DecodeString(fields[5])
	switch {
	case err != nil || err2 != nil || len(p.salt) == 0 || len(p.salt) > maxField || len(p.key) < 16 || len(p.key) > maxField:
		return p, errPHC
	case p.memory < 8 || p.memory > maxMemory || p.time == 0 || p.time > maxTime || p.lanes == 0 || p.lanes > maxLanes:
		return p, errPHC
	}
	return p, nil
}
